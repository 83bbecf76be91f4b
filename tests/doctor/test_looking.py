"""What is seen of a home folder: names, never a secret."""

import sys
from pathlib import Path

import msgspec

from broker.doctor.facts import ADC_NAME
from broker.doctor.looking import aws_file, distributions, look, rclone_path, remotes
from tests.doctor.made import facts

SECRET = "wJalrXUtnFEMI"


def written(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


class TestAwsFile:
    def test_names_are_kept_and_values_are_not(self, tmp_path: Path):
        """The report may be pasted into a ticket."""
        text = f"[default]\nAWS_Access_Key_Id = AKIA\naws_secret_access_key = {SECRET}\n[profile 'a b']\nregion = x\n"
        found = aws_file(written(tmp_path / "config", text))

        assert found is not None
        assert found.keys("default") == {"aws_access_key_id", "aws_secret_access_key"}
        assert found.keys("a b") == {"region"}
        assert SECRET not in repr(found)

    def test_nested_blocks_belong_to_their_key(self, tmp_path: Path):
        """As botocore reads them."""
        found = aws_file(written(tmp_path / "config", "[default]\ns3 =\n    region = x\n"))

        assert found is not None
        assert found.keys("default") == {"s3"}

    def test_one_that_cannot_be_parsed_is_broken(self, tmp_path: Path):
        """SDKs fail on it, so we say so."""
        found = aws_file(written(tmp_path / "config", "no section = here\n"))

        assert found is not None
        assert found.broken

    def test_none_where_nothing_can_be_read(self, tmp_path: Path):
        """A folder, an absent file; and /dev/null has no section."""
        assert aws_file(str(tmp_path)) is None
        assert aws_file(str(tmp_path / "absent")) is None
        assert aws_file("/dev/null") is not None


class TestRclone:
    def test_what_decides_is_kept(self, tmp_path: Path):
        """The type, env_auth and the names of the keys."""
        path = written(tmp_path / "r", f"[lake]\ntype = s3\nenv_auth = True\nsecret_access_key = {SECRET}\n")
        (found,) = remotes(path)

        assert (found.name, found.kind, found.env_auth) == ("lake", "s3", True)
        assert SECRET not in repr(found)

    def test_an_encrypted_file_has_none(self, tmp_path: Path):
        """Only rclone can read it."""
        assert remotes(written(tmp_path / "r", "# Encrypted\n\nRCLONE_ENCRYPT_V0:\nabc\n")) == ()
        assert remotes(str(tmp_path / "absent")) == ()

    def test_it_is_where_rclone_looks(self):
        """The variable, else below XDG_CONFIG_HOME."""
        assert rclone_path(facts({"RCLONE_CONFIG": "/r"})) == "/r"
        assert rclone_path(facts({"XDG_CONFIG_HOME": "/x"})) == "/x/rclone/rclone.conf"


class TestDistributions:
    def test_the_workers_interpreter_is_asked(self):
        """Ours has pytest."""
        assert {"pytest", "msgspec"} <= distributions(sys.executable, {})

    def test_one_that_cannot_say_has_nothing(self, tmp_path: Path):
        """Python 2, a broken environment, no interpreter."""
        assert distributions("/bin/false", {}) == frozenset()
        assert distributions("/bin/echo", {}) == frozenset()
        assert distributions(str(tmp_path / "absent"), {}) == frozenset()


class TestLook:
    def test_it_finds_what_the_clients_would(self, tmp_path: Path):
        """Files below home, and those that variables name."""
        written(tmp_path / ".aws/credentials", "[default]\naws_access_key_id = AKIA\n")
        adc = written(tmp_path / ".config/gcloud" / ADC_NAME, "{}")
        login = written(tmp_path / ".aws/sso/cache/0.json", "{}")
        named = written(tmp_path / "key.json", "{}")

        found = look({"GOOGLE_APPLICATION_CREDENTIALS": named, "PATH": ""}, str(tmp_path), None)

        assert [one.path for one in found.aws_files] == [str(tmp_path / ".aws/credentials")]
        assert found.files == {adc, login, named}
        assert found.commands == frozenset()

    def test_an_empty_home_has_nothing(self, tmp_path: Path):
        """As `--private-home` gives it."""
        found = look({"PATH": ""}, str(tmp_path), None)

        assert msgspec.structs.asdict(found) == msgspec.structs.asdict(facts({"PATH": ""}, planes=frozenset())) | {
            "home": str(tmp_path)
        }


class TestOtherClouds:
    def test_the_files_of_azure_databricks_and_oracle_are_looked_for(self, tmp_path: Path):
        """Databricks' [DEFAULT] is a profile like any other."""
        home = {
            written(tmp_path / place, "[DEFAULT]\nhost = x\ntoken = dapi\n")
            for place in (".azure/azureProfile.json", ".oci/config", ".oraclebmc/config", "session", "told")
        }
        written(tmp_path / ".databrickscfg", "[DEFAULT]\nhost = x\ntoken = dapi\n")
        environ = {"OCI_RESOURCE_PRINCIPAL_RPST": f"{tmp_path}/session", "OCI_CONFIG_FILE": "~/told"}
        found = look(environ | {"OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM": "-----BEGIN"}, str(tmp_path), None)

        assert found.files == home
        assert found.aws_file(found.databricks_path).keys("DEFAULT") == {"host", "token"}
        assert "dapi" not in repr(found.aws_files)
