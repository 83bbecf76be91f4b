"""The daemon's identity: out of its own environment, into a minter's, and never a way back to itself."""

import pytest

from broker.identity import minter_environment, take_identity
from broker.worker_env import applied, worker_environment
from tests.worker_env.workers import WORKER

OWN = [("127.0.0.1", 9911), ("169.254.170.23", 80), ("fd00:ec2::23", 80)]
AWS = {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "token", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/run/token"}


class TestTakeIdentity:
    def test_it_is_taken_out_and_returned(self):
        """What remains is what children and reports of the daemon may see."""
        environ = {
            "PATH": "/bin",
            "HOME": "/home/ann",
            "CREDBROKER_CONFIG": "/etc/c.toml",
            "AWS_PROFILE": "prod",
            "AWS_SECRET_ACCESS_KEY": "x",
            "GOOGLE_APPLICATION_CREDENTIALS": "/adc.json",
            "CLOUDSDK_CONFIG": "/gcloud",
            "GCE_METADATA_HOST": "h",
            "IDENTITY_HEADER": "x",
            "BOTO_CONFIG": "/boto",
            "AZURE_CLIENT_SECRET": "x",
            "OCI_CONFIG_FILE": "/oci",
            "DATABRICKS_TOKEN": "x",
            "GCS_SECRET": "x",
        }
        whole = dict(environ)
        identity = take_identity(environ)

        assert environ == {"PATH": "/bin", "HOME": "/home/ann", "CREDBROKER_CONFIG": "/etc/c.toml"}
        assert identity | environ == whole

    def test_what_the_configuration_refers_to_goes_too(self):
        """`{ env = "STATE_KEY" }` is read by the minter."""
        environ = {"STATE_KEY": "x", "OTHER": "y"}

        assert take_identity(environ, also=["STATE_KEY", "ABSENT"]) == {"STATE_KEY": "x"}
        assert environ == {"OTHER": "y"}

    def test_in_another_brokers_worker_it_is_the_users_own(self):
        """A daemon restarted in a shell that `env` changed finds what the first one found."""
        user = {"HOME": "/home/ann", "AWS_PROFILE": "prod", "AWS_CONFIG_FILE": "/home/ann/aws"}
        environ = applied(worker_environment(WORKER, user), user)
        identity = take_identity(environ)

        assert identity == {"AWS_PROFILE": "prod", "AWS_CONFIG_FILE": "/home/ann/aws"}
        assert environ == {"HOME": "/home/ann", "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}

    def test_a_home_that_was_hidden_is_there_again(self):
        """SDKs look for their files under it."""
        environ = {"HOME": "/run/w/home", "CREDBROKER_OUTER": '{"HOME":"/home/ann"}'}
        take_identity(environ)

        assert environ == {"HOME": "/home/ann"}


class TestMinterEnvironment:
    def test_it_is_an_allow_list_and_the_identity(self):
        """Nothing that changes what a Python runs, and nothing that is nobody's business."""
        environ = {
            "PATH": "/bin",
            "HOME": "/home/ann",
            "LC_ALL": "C",
            "TZ": "UTC",
            "https_proxy": "http://proxy:3128",
            "SSL_CERT_FILE": "/ca.pem",
            "XDG_CONFIG_HOME": "/cfg",
            "LD_LIBRARY_PATH": "/opt/python/lib",
            "LD_PRELOAD": "/x.so",
            "PYTHONPATH": "/x",
            "PYTHONSTARTUP": "/x",
            "NOTIFY_SOCKET": "/n",
            "SECRET": "x",
            "CREDBROKER_SOCKET": "/run/s",
            "LISTEN_FDS": "1",
        }
        told = minter_environment({"AWS_PROFILE": "prod"}, environ, OWN)

        assert told.keys() == {
            *("PATH", "HOME", "LC_ALL", "TZ", "https_proxy", "SSL_CERT_FILE", "XDG_CONFIG_HOME", "LD_LIBRARY_PATH"),
            "AWS_PROFILE",
        }

    @pytest.mark.parametrize(
        "uri",
        [
            *("http://127.0.0.1:9911/aws", "http://localhost:9911/aws", "http://LOCALHOST.:9911", "http://127.1:9911"),
            *("http://[::1]:9911", "http://[::ffff:127.0.0.1]:9911", "http://2130706433:9911", "http://0.0.0.0:9911"),
            *(
                "http://127.0.0.77:9911",
                "http://a@127.0.0.1:9911",
                "http://ip6-localhost:9911",
                "http://x.localhost:9911",
            ),
            *("http://169.254.170.23/v1/credentials", "http://169.254.170.23:80", "http://[fd00:ec2::23]/aws"),
        ],
    )
    def test_what_points_at_our_own_listeners_goes_with_its_token(self, uri: str):
        """However it is spelt: a broker that asks itself hands on its own answers."""
        identity = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri, "AWS_REGION": "eu-west-1"} | AWS

        assert minter_environment(identity, {}, OWN) == {"AWS_REGION": "eu-west-1"}

    @pytest.mark.parametrize(
        "uri",
        [
            *("http://127.0.0.1:9912/aws", "http://127.0.0.1/aws", "http://169.254.170.2:9911", "http://broker:9911"),
            *("http://169.254.170.23:8080", "https://169.254.170.23/x", "http://127.0.0.1:99119911", "http://[::1", ""),
            "http://caf\u00e9:9911",
        ],
    )
    def test_what_points_elsewhere_stays_with_its_token(self, uri: str):
        """It is the daemon's identity: another broker, or the agent of a cluster."""
        identity = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri} | AWS

        assert minter_environment(identity, {}, OWN) == identity

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("GCE_METADATA_HOST", "127.0.0.1:9911/w/cbp_x"),
            ("GCE_METADATA_IP", "127.0.0.1:9911"),
            ("GCE_METADATA_ROOT", "localhost:9911"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9911/"),
            ("IDENTITY_ENDPOINT", "http://127.0.0.1:9911/azure/token"),
            ("DATABRICKS_METADATA_SERVICE_URL", "http://127.0.0.1:9911/w/cbp_x/databricks/d"),
        ],
    )
    def test_every_protocol_that_we_serve_is_thought_of(self, name: str, value: str):
        """And those that are yet to come: the value decides, not the name."""
        assert minter_environment({name: value}, {}, OWN) == {}

    @pytest.mark.parametrize(
        ("endpoint", "companion"),
        [
            ({"IDENTITY_ENDPOINT": "http://127.0.0.1:9911/azure/token"}, "IDENTITY_HEADER"),
            ({"DATABRICKS_METADATA_SERVICE_URL": "http://127.0.0.1:9911/w/x/databricks/d"}, "DATABRICKS_AUTH_TYPE"),
            ({"MSI_ENDPOINT": "http://127.0.0.1:9911/azure/token"}, "MSI_SECRET"),
            ({"GCE_METADATA_HOST": "127.0.0.1:9911"}, "CLOUDSDK_AUTH_ACCESS_TOKEN"),
        ],
    )
    def test_what_is_nothing_without_it_goes_too(self, endpoint: dict[str, str], companion: str):
        """A token alone confuses an SDK, and is ours."""
        assert minter_environment(endpoint | {companion: "x"}, {}, OWN) == {}

    @pytest.mark.parametrize(
        ("marked", "kept"), [(True, set()), (False, {"AWS_CONFIG_FILE", "CLOUDSDK_CONFIG", "AZURE_TOKEN_CREDENTIALS"})]
    )
    def test_files_that_a_broker_generated_go_and_a_users_own_stay(self, marked: bool, kept: set[str]):
        """The static script for attested uids cannot remember what was there before."""
        identity = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9911/aws",
            "AWS_CONFIG_FILE": "/dev/null",
            "GCE_METADATA_HOST": "127.0.0.1:9911",
            "CLOUDSDK_CONFIG": "/run/user/1000/credbroker/attested/gcloud",
            "IDENTITY_ENDPOINT": "http://127.0.0.1:9911/azure/token",
            "AZURE_TOKEN_CREDENTIALS": "managedidentitycredential",
        }
        environ = {"CREDBROKER_WORKER": "http://127.0.0.1:9911"} if marked else {}

        assert minter_environment(identity, environ, OWN).keys() == kept
