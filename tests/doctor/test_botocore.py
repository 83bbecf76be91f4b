"""botocore's chain; `tests/clients/test_doctor.py` holds it against botocore itself."""

import pytest

from broker.doctor.botocore import CHAIN
from broker.doctor.chain import NONE, OK, SHADOWED, winner
from broker.doctor.facts import AwsFile
from tests.doctor.made import AWS_WORKER, CONFIG, CREDENTIALS, HOME, KEYS, aws_file, facts


class TestChain:
    def test_a_workers_environment_leads_to_the_broker(self):
        """With nothing else about."""
        found = winner(CHAIN, facts(AWS_WORKER))

        assert (found.provider, found.verdict) == ("container-role", OK)

    def test_nothing_is_none(self):
        """NoCredentialsError."""
        assert winner(CHAIN, facts()).verdict == NONE

    @pytest.mark.parametrize(
        ("provider", "variables"),
        [
            ("env", {"AWS_ACCESS_KEY_ID": "x"}),
            ("error", {"AWS_PROFILE": "absent", "AWS_ACCESS_KEY_ID": "x"}),
            ("assume-role-with-web-identity", {"AWS_WEB_IDENTITY_TOKEN_FILE": "x", "AWS_ROLE_ARN": "y"}),
            ("error", {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": ""}),
            ("ec2-credentials-file", {"AWS_CREDENTIAL_FILE": "x"}),
        ],
    )
    def test_these_variables_come_before_the_container(self, provider: str, variables: dict[str, str]):
        """So a worker's environment unsets them."""
        found = winner(CHAIN, facts(AWS_WORKER | variables))

        assert (found.provider, found.verdict) == (provider, SHADOWED)

    @pytest.mark.parametrize(
        ("provider", "keys"),
        [
            ("assume-role", ("role_arn", "source_profile")),
            ("assume-role", ("role_arn", "credential_source")),
            ("assume-role-with-web-identity", ("role_arn", "web_identity_token_file")),
            ("sso", ("sso_session",)),
            ("sso", ("sso_start_url",)),
            ("login", ("login_session",)),
            ("custom-process", ("credential_process",)),
            ("config-file", KEYS),
        ],
    )
    def test_so_do_these_keys_of_the_default_profile(self, provider: str, keys: tuple[str, ...]):
        """So a worker's environment has a configuration of its own."""
        found = winner(CHAIN, facts(AWS_WORKER, aws_files=(aws_file(CONFIG, *keys),)))

        assert (found.provider, found.verdict) == (provider, SHADOWED)

    def test_static_keys_are_hidden_by_the_workers_own_file(self):
        """The file is there and nobody reads it."""
        files = (aws_file(CREDENTIALS, *KEYS),)
        hidden = AWS_WORKER | {"AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}

        assert winner(CHAIN, facts(AWS_WORKER, aws_files=files)).provider == "shared-credentials-file"
        assert winner(CHAIN, facts(hidden, aws_files=files)).verdict == OK

    def test_a_region_alone_shadows_nothing(self):
        """It is what most people have there."""
        assert winner(CHAIN, facts(AWS_WORKER, aws_files=(aws_file(CONFIG, "region"),))).verdict == OK

    def test_a_file_that_cannot_be_parsed_fails_all_of_it(self):
        """ConfigParseError comes before any provider."""
        found = winner(CHAIN, facts(AWS_WORKER, aws_files=(AwsFile(CONFIG, broken=True),)))

        assert (found.provider, found.verdict) == ("error", SHADOWED)

    @pytest.mark.parametrize(
        ("variables", "verdict"),
        [({}, SHADOWED), ({"BOTO_CONFIG": "/dev/null"}, OK), ({"BOTO_CONFIG": "~/.boto"}, SHADOWED)],
    )
    def test_boto_2_has_a_file_too(self, variables: dict[str, str], verdict: str):
        """Unless it is named away."""
        files = (aws_file(f"{HOME}/.boto", *KEYS, name="Credentials"),)

        assert winner(CHAIN, facts(AWS_WORKER | variables, aws_files=files)).verdict == verdict
