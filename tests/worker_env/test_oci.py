"""Oracle's part of a worker's environment."""

from broker.secret import Secret
from broker.worker_env.environment import applied
from broker.worker_env.oci import KEY, READ, REGION, TOKEN, VERSION, OciGrant, lease_files, oci_environment, oci_folder
from tests.worker_env.workers import FOLDER, PLANE, variables

GRANT = OciGrant(holds=frozenset({TOKEN, KEY, "EXTRA"}), region="eu-frankfurt-1")
CURRENT = f"{FOLDER}/oci/current"


class TestSession:
    def test_the_sdk_is_led_to_the_pair(self):
        """Through the link, so that what it reads anew is the newest."""
        assert variables(oci_environment(PLANE, GRANT)) == {
            VERSION: "2.2",
            TOKEN: f"{CURRENT}/rpst",
            KEY: f"{CURRENT}/private.pem",
            REGION: "eu-frankfurt-1",
            "OCIFS_IAM_TYPE": "resource_principal",
            "OCI_CLI_AUTH": "resource_principal",
        }

    def test_nothing_of_the_users_own_stands_beside_it(self):
        """A passphrase would break the key, a config file another identity would win in the CLI."""
        his = dict.fromkeys(READ, "his own")

        assert "his own" not in applied(oci_environment(PLANE, GRANT), his).values()

    def test_where_nothing_is_held_his_own_is_hidden_all_the_same(self):
        """A worker never slips past the broker."""
        assert applied(oci_environment(PLANE, OciGrant()), dict.fromkeys(READ, "his own")) == {}


class TestFiles:
    def test_each_is_there_whole(self):
        """By the names that the variables lead to."""
        values = {TOKEN: Secret("t"), KEY: Secret("k"), VERSION: Secret("2.2")}

        assert dict(lease_files(values, f"{oci_folder(FOLDER)}/0")) == {"rpst": b"t", "private.pem": b"k"}


KEYED = {f"OCI_CLI_{name}": Secret(name.lower()) for name in ("USER", "FINGERPRINT", "TENANCY", "REGION")}


class TestApiKey:
    def test_the_sdk_is_led_to_a_config_file(self):
        """And ocifs and the CLI, each by its own name for it."""
        found = variables(oci_environment(PLANE, OciGrant(holds=frozenset({"OCI_CLI_KEY_CONTENT"}))))

        assert {found.pop(name) for name in ("OCI_CONFIG_FILE", "OCI_CLI_CONFIG_FILE", "OCIFS_CONFIG_LOCATION")} == {
            f"{CURRENT}/config"
        }
        assert found == {"OCIFS_IAM_TYPE": "api_key", "OCI_CLI_AUTH": "api_key"}

    def test_the_config_names_its_own_key_wherever_the_link_leads(self):
        """Else an old config would be read with a new key."""
        files = dict(lease_files(KEYED | {"OCI_CLI_KEY_CONTENT": Secret("pem")}, "/f/7"))

        assert files["key.pem"] == b"pem"
        assert files["config"].decode().splitlines() == [
            *("[DEFAULT]", "user=user", "fingerprint=fingerprint", "tenancy=tenancy", "region=region"),
            "key_file=/f/7/key.pem",
        ]
