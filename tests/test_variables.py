"""Which variables a configuration may name."""

import pytest

from broker import variables


class TestFault:
    @pytest.mark.parametrize("name", ["S3_ENDPOINT_URL", "AZURE_ACCOUNT_NAME", "_x", "wandb_mode", "A" * 128])
    def test_most_names_are_free(self, name: str):
        """The settings of stores and tools."""
        assert variables.fault(name) is None

    @pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "A\n", "Ä", "A" * 129])
    def test_a_name_is_one_that_a_shell_takes(self, name: str):
        """Anything else could not be exported."""
        assert "is no name of a variable" in str(variables.fault(name))

    @pytest.mark.parametrize("name", sorted(variables.SET))
    def test_nothing_takes_the_place_of_what_the_broker_sets(self, name: str):
        """An SDK would slip past it."""
        assert "the broker itself sets" in str(variables.fault(name))

    @pytest.mark.parametrize(
        "name", ["PATH", "HOME", "LD_PRELOAD", "PYTHONPATH", "DYLD_X", "CREDBROKER_SOCKET", "expires_at"]
    )
    def test_what_decides_which_programs_run_is_no_setting_of_a_store(self, name: str):
        """Nor where our own commands look."""
        assert "not for a credential to set" in str(variables.fault(name))

    @pytest.mark.parametrize("name", sorted(variables.UNSET))
    def test_a_secret_may_stand_where_the_broker_only_unsets(self, name: str):
        """A key that somebody wants to give: it is left out where its cloud is granted too."""
        assert variables.fault(name) is None


class TestPlainFault:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("S3_ENDPOINT_URL", "https://s3.example:9000/x"),
            ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000"),
            ("S3_CANNED_ACL", "bucket-owner-full-control"),
            ("MOSAICML_STREAMING_AWS_REQUESTER_PAYS", "bucket-a,bucket-b"),
            ("S3_SSE_KMS_KEY_ID", "arn:aws:kms:eu-west-1:123456789012:key/x"),
            ("AZURE_ACCOUNT_NAME", "account"),
            *((name, "x") for name in sorted(variables.FREE)),
        ],
    )
    def test_the_settings_of_stores_are_taken(self, name: str, value: str):
        """Those of the stores that are documented, and what a user may know better than a source."""
        assert variables.plain_fault(name, value) is None

    @pytest.mark.parametrize("name", sorted(variables.UNSET))
    def test_what_would_be_asked_before_the_broker_is_refused(self, name: str):
        """The broker unsets it for the same reason."""
        assert "asked before the broker" in str(variables.plain_fault(name, "x"))

    @pytest.mark.parametrize(
        "name",
        ["WANDB_API_KEY", "HF_TOKEN", "DB_PASSWORD", "AZURE_SEARCH_API_KEY", "X_SECRET", "PASSWORD"],
    )
    def test_a_secret_by_its_name_is_to_be_a_reference(self, name: str):
        """No secret stands in the file."""
        assert "private-env" in str(variables.plain_fault(name, "x"))

    def test_nor_does_a_password_in_a_url(self):
        """As a proxy's may."""
        assert "private-env" in str(variables.plain_fault("HTTPS_PROXY", "http://user:secret@proxy:3128"))

    def test_a_value_has_one_line(self):
        """Some of the formats of `env` could not carry another."""
        assert variables.plain_fault("X", "a\nb") == "has a line break"
