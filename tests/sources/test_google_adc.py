import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.errors import Denied, IdentityMissing
from broker.sources import google_adc
from broker.sources.google_wire import Line
from tests.fakes.google import FakeGoogle, Fault, files
from tests.other_user import ordinary_place

pytest_plugins = ["tests.fakes.google.fixtures"]

TRAIN = "train@my-project.iam.gserviceaccount.com"
LOGIN = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}


def gcloud_file(home: Path) -> Path:
    return home / ".config/gcloud/application_default_credentials.json"


class TestSearch:
    def test_the_file_of_the_spec_is_the_only_one_looked_at(
        self, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """`file` stands instead of the search."""
        files.write(gcloud_file(alone), LOGIN)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(gcloud_file(alone)))
        named = files.write(tmp_path / "named.json", LOGIN | {"account": "named@example.com"})

        found = google_adc.search(str(named))

        assert found.email == "named@example.com"
        assert found.place == str(named)

    def test_the_variable_counts_before_gclouds_file(
        self, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """The order of google-auth."""
        files.write(gcloud_file(alone), LOGIN)
        named = files.write(tmp_path / "named.json", LOGIN | {"account": "named@example.com"})
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(named))

        assert google_adc.search(None).email == "named@example.com"

    def test_a_variable_that_names_nothing_is_an_error(self, alone: Path, monkeypatch: pytest.MonkeyPatch):
        """Falling through to another identity would be a surprise."""
        files.write(gcloud_file(alone), LOGIN)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")

        with pytest.raises(IdentityMissing, match=r"/nowhere/key\.json does not exist") as caught:
            google_adc.search(None)

        assert caught.value.code == "IdentityNotFound"

    def test_gclouds_file_is_found_and_shown_as_its_owner_types_it(self, alone: Path):
        """Where `gcloud auth application-default login` leaves it."""
        files.write(gcloud_file(alone), LOGIN)

        assert google_adc.search(None).place == "~/.config/gcloud/application_default_credentials.json"

    def test_gclouds_folder_may_be_elsewhere(self, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """CLOUDSDK_CONFIG moves it."""
        files.write(gcloud_file(alone), LOGIN)
        moved = files.write(
            tmp_path / "sdk/application_default_credentials.json", LOGIN | {"account": "moved@x.example"}
        )
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(moved.parent))

        assert google_adc.search(None).email == "moved@x.example"

    def test_nothing_found_says_what_was_looked_for_and_how_to_log_in(self, alone: Path):
        """The first thing that a newcomer sees."""
        with pytest.raises(IdentityMissing) as caught:
            google_adc.search(None)

        assert caught.value.code == "NoCredentials"
        assert "gcloud auth application-default login" in caught.value.advice
        assert "GOOGLE_APPLICATION_CREDENTIALS" in caught.value.advice

    @pytest.mark.usefixtures("alone")
    def test_a_user_without_a_home_has_no_login(self, monkeypatch: pytest.MonkeyPatch):
        """A container may run with a uid that no account has."""
        monkeypatch.delenv("HOME")
        monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)

        with pytest.raises(IdentityMissing, match="does not exist"):
            google_adc.search(None)

    def test_an_instance_is_known_by_its_metadata_server(self, alone: Path, node: FakeGoogle):
        """The last place of the search."""
        node.metadata.account = node.registry.service_account()

        assert google_adc.search(None).words == "the metadata server of this instance"

    @pytest.mark.usefixtures("alone")
    def test_something_else_at_that_address_is_no_instance(self, node: FakeGoogle, monkeypatch: pytest.MonkeyPatch):
        """Only an answer with the flavour counts: captive portals and AWS answer there too."""
        monkeypatch.setattr(google_adc, "_PRODUCT_NAME", "/nowhere")
        node.fail("metadata", Fault(status=200, body=b"hello"))

        with pytest.raises(IdentityMissing):
            google_adc.search(None)

    @pytest.mark.usefixtures("alone")
    def test_a_silent_metadata_server_is_waited_for_briefly(self, node: FakeGoogle, monkeypatch: pytest.MonkeyPatch):
        """One try: google-auth would take three of 3 s each."""
        monkeypatch.setattr(google_adc, "_PRODUCT_NAME", "/nowhere")
        monkeypatch.setattr(google_adc, "LOOK_TIMEOUT", 0.1)
        node.fail("metadata", Fault(delay=30.0))

        with pytest.raises(IdentityMissing):
            google_adc.search(None)

        assert node.calls["metadata"] == 1

    @pytest.mark.usefixtures("alone")
    def test_the_firmware_says_that_it_is_an_instance(
        self, node: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """A metadata server that is down for a moment does not change what the machine is."""
        (tmp_path / "product_name").write_text("Google Compute Engine\n")
        monkeypatch.setattr(google_adc, "_PRODUCT_NAME", str(tmp_path / "product_name"))
        node.fail("metadata", Fault(status=503))

        assert google_adc.search(None).type == "gce"


def read(folder: Path, members: dict[str, Any]) -> google_adc.Identity:
    return google_adc.search(str(files.write(folder / "adc.json", members)))


@pytest.mark.usefixtures("alone")
class TestFiles:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            '"type"',
            "{}",
            '{"type": 7}',
            '{"type": "unknown"}',
            '{"type": "impersonated_service_account"}',
            '{"type": "service_account", "client_email": 7}',
            '{"type": "authorized_user", "quota_project_id": {}}',
        ],
    )
    def test_what_is_no_credentials_file_is_named(self, tmp_path: Path, text: str):
        """Its content is not: it may be a key cut in half."""
        (tmp_path / "adc.json").write_text(text)

        with pytest.raises(IdentityMissing, match=r"adc\.json") as caught:
            google_adc.search(str(tmp_path / "adc.json"))

        assert caught.value.code == "IdentityUnreadable"

    def test_bytes_that_are_no_text_are_no_credentials_file(self, tmp_path: Path):
        """Not a traceback either."""
        (tmp_path / "adc.json").write_bytes(b'{"type": "authorized_user", "account": "\xff\xfe"}')

        with pytest.raises(IdentityMissing):
            google_adc.search(str(tmp_path / "adc.json"))

    def test_a_file_of_another_user_says_so(self):
        """The usual mistake with a minter of its own uid."""
        with ordinary_place() as folder:
            (folder / "adc.json").write_text(msgspec.json.encode(LOGIN).decode())
            (folder / "adc.json").chmod(0)

            with pytest.raises(IdentityMissing, match="may not be read by the minter's user"):
                google_adc.search(str(folder / "adc.json"))

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path):
        """A minter must not hang on a FIFO that nobody writes."""
        os.mkfifo(tmp_path / "adc.json")

        with pytest.raises(IdentityMissing, match="no regular file"):
            google_adc.search(str(tmp_path / "adc.json"))

    def test_a_folder_is_no_file(self, tmp_path: Path):
        """Nor a traceback."""
        with pytest.raises(IdentityMissing, match="no regular file"):
            google_adc.search(str(tmp_path))

    def test_a_link_is_followed(self, tmp_path: Path):
        """Kubernetes mounts its secrets as links."""
        files.write(tmp_path / "real.json", LOGIN)
        (tmp_path / "adc.json").symlink_to(tmp_path / "real.json")

        assert google_adc.search(str(tmp_path / "adc.json")).type == "authorized_user"

    def test_gdch_is_refused_with_a_reason(self, tmp_path: Path):
        """Its tokens are for another cloud; a vague error would send people looking."""
        with pytest.raises(Denied, match="Google Distributed Cloud") as caught:
            read(tmp_path, {"type": "gdch_service_account"})

        assert caught.value.code == "UnsupportedIdentity"

    def test_the_quota_project_of_the_environment_counts_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """As google-auth has it."""
        assert read(tmp_path, LOGIN | {"quota_project_id": "filed"}).quota_project == "filed"

        monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "told")
        found = read(tmp_path, LOGIN | {"quota_project_id": "filed"})

        assert (found.quota_project, found.billed) == ("told", "filed")


@pytest.mark.usefixtures("alone")
class TestActsAs:
    def test_an_impersonating_file_is_taken_apart(self, google: FakeGoogle, tmp_path: Path):
        """google-auth would drop the URL's host and the lifetime."""
        found = read(
            tmp_path,
            files.impersonated(
                google,
                LOGIN | {"account": "person@example.com", "quota_project_id": "billed"},
                TRAIN,
                delegates=["between@p.example"],
                service_account_impersonation={"token_lifetime_seconds": 900},
            ),
        )

        assert found.type == "authorized_user"
        assert found.acts_as == google_adc.ActsAs(
            service_account=TRAIN, endpoint=google.url, delegates=("between@p.example",), lifetime=900
        )
        assert (found.billed, found.quota_project) == ("billed", "billed")
        assert found.words == f"authorized_user person@example.com from {found.place}, as {TRAIN}"

    def test_delegates_may_be_null(self, google: FakeGoogle, tmp_path: Path):
        """Some tools write it so."""
        found = read(tmp_path, files.impersonated(google, LOGIN, TRAIN, delegates=None))

        assert found.acts_as is not None
        assert found.acts_as.delegates == ()

    @pytest.mark.parametrize(
        "url", [None, "", "https://iam.example/v1/x", f"https://h/v1/projects/-/serviceAccounts/{TRAIN}"]
    )
    def test_a_url_of_another_form_is_refused(self, google: FakeGoogle, tmp_path: Path, url: str | None):
        """It says whom to act as, so a guess will not do."""
        with pytest.raises(IdentityMissing, match="service_account_impersonation_url"):
            read(tmp_path, files.impersonated(google, LOGIN, TRAIN, service_account_impersonation_url=url))

    def test_an_impersonation_of_an_impersonation_is_refused(self, google: FakeGoogle, tmp_path: Path):
        """google-auth takes none either: that is what delegates are for."""
        inner = files.impersonated(google, LOGIN, TRAIN)

        with pytest.raises(IdentityMissing):
            read(tmp_path, files.impersonated(google, inner, TRAIN))


@pytest.mark.usefixtures("alone")
class TestExecutable:
    def test_a_program_runs_only_if_it_is_allowed(self, google: FakeGoogle, tmp_path: Path):
        """google-auth's own rule, and the error says what to set."""
        pool = google.registry.pool({"subject": "principal://x"})

        with pytest.raises(IdentityMissing, match="GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1") as caught:
            read(tmp_path, files.external(google, pool, files.from_executable(tmp_path, "subject")))

        assert caught.value.code == "ExecutableNotAllowed"


@pytest.mark.usefixtures("alone")
class TestInstanceProject:
    def test_the_metadata_server_names_the_project(self, node: FakeGoogle):
        """Workers want it, and no file has it."""
        node.metadata.account = node.registry.service_account("sa@that-project.iam.gserviceaccount.com")

        with Line() as line:
            assert google_adc.instance_project(line) == "that-project"

    @pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=404), Fault(status=200, body=b"<html>")])
    def test_a_lease_is_good_without(self, node: FakeGoogle, fault: Fault):
        """It is a convenience, never a reason to fail."""
        node.fail("metadata", fault)

        with Line() as line:
            assert google_adc.instance_project(line) is None
