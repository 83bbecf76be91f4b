"""The whole environment of a worker, against the table of the contract."""

import msgspec
import pytest

from broker.model import Kind
from broker.secret import Secret
from broker.variables import FREE, SET, UNSET
from broker.worker_env import DatabricksGrant, OciGrant, VariablesGrant, Worker, applied, worker_environment
from tests.worker_env.workers import ACCESS, AWS, FOLDER, GOOGLE, HEADER, PATH, PLANE, WORKER, files, variables

HOST = f"127.0.0.1:9911/w/{PATH}"

# The contract's table, word for word, for a worker with one credential of each cloud.
AWS_TABLE = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9911/aws/train",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{FOLDER}/token",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": HEADER,
    "AWS_CONFIG_FILE": f"{FOLDER}/aws-config",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
}
GOOGLE_TABLE = {
    "GCE_METADATA_HOST": HOST,
    "GCE_METADATA_IP": HOST,
    "GCE_METADATA_ROOT": HOST,
    "GCE_METADATA_MTLS_MODE": "none",
    "METADATA_SERVER_DETECTION": "assume-present",
    "GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN": "false",
    "GOOGLE_CLOUD_PROJECT": "my-project",
    "GOOGLE_CLOUD_QUOTA_PROJECT": "my-quota",
    "CLOUDSDK_CONFIG": f"{FOLDER}/gcloud",
    "GOOGLE_GCLOUD_ADC_PATH_OVERRIDE": f"{FOLDER}/gcloud/none.json",
    "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": f"{FOLDER}/google-token",
    "CLOUDSDK_AUTH_ACCESS_TOKEN": ACCESS,
}
AWS_UNSET = {
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE"),
    *("AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    *("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_ENDPOINT_URL_STS"),
}
GOOGLE_UNSET = {
    *("GOOGLE_APPLICATION_CREDENTIALS", "NO_GCE_CHECK", "GCS_KEY", "GCS_SECRET", "GOOGLE_OAUTH_ACCESS_TOKEN"),
    *("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT"),
}
NO_PROXY = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
OURS = {"CREDBROKER_WORKER", "CREDBROKER_WORKER_TOKEN_FILE", "CREDBROKER_OUTER"}


def is_aws(name: str) -> bool:
    return name.startswith(("AWS_", "BOTO_"))


KINDS = [OciGrant(holds=frozenset({one})) for one in ("OCI_RESOURCE_PRINCIPAL_RPST", "OCI_CLI_KEY_CONTENT")]


class TestTheTable:
    def test_every_variable_of_the_contract_is_set(self):
        """With exactly its value."""
        assert variables(worker_environment(WORKER, {})).items() >= (AWS_TABLE | GOOGLE_TABLE | NO_PROXY).items()

    def test_nothing_else_is_set_but_what_is_known_to_beat_the_broker(self):
        """A further variable needs a fact."""
        extra = variables(worker_environment(WORKER, {})).keys() - (AWS_TABLE | GOOGLE_TABLE | NO_PROXY).keys()

        assert extra == OURS | {"BOTO_CONFIG"}

    def test_everything_that_the_contract_unsets_is_unset(self):
        """Any of them would beat the broker."""
        assert set(worker_environment(WORKER, {}).unset) >= AWS_UNSET | GOOGLE_UNSET

    def test_nothing_is_both_set_and_unset(self):
        """The order of the lines would decide."""
        environment = worker_environment(WORKER, {})

        assert len(set(environment.names())) == len(environment.names())

    def test_every_file_that_is_named_is_written_and_every_folder_made(self):
        """A token file that is not there breaks boto3."""
        environment = worker_environment(WORKER, {})
        named = {value for value in variables(environment).values() if value.startswith(FOLDER)}

        # none.json must not be there: it is where google-cloud-cpp is told to find nothing.
        assert named == {*files(environment), f"{FOLDER}/gcloud", f"{FOLDER}/gcloud/none.json"}
        assert environment.folders == (FOLDER, f"{FOLDER}/gcloud")
        assert files(environment)[f"{FOLDER}/token"] == HEADER

    def test_no_token_is_shown_when_it_is_printed_by_accident(self):
        """Logs and tracebacks print values."""
        shown = repr(worker_environment(WORKER, {})) + repr(WORKER)

        assert not [token for token in (HEADER, PATH, ACCESS) if token in shown]


class TestClouds:
    @pytest.mark.parametrize(
        "worker",
        [
            Worker(plane=PLANE, google=GOOGLE),
            Worker(plane=PLANE, aws=AWS, google=GOOGLE, without=frozenset({Kind.AWS})),
        ],
    )
    def test_nothing_of_aws_is_touched_without_a_grant_or_with_without(self, worker: Worker):
        """The instance's own role takes over."""
        environment = worker_environment(worker, {})

        assert not [name for name in environment.names() if is_aws(name)]
        assert variables(environment).items() >= (GOOGLE_TABLE | NO_PROXY).items()

    @pytest.mark.parametrize(
        "worker",
        [Worker(plane=PLANE, aws=AWS), Worker(plane=PLANE, aws=AWS, google=GOOGLE, without=frozenset({Kind.GOOGLE}))],
    )
    def test_nothing_of_google_is_touched_without_a_grant_or_with_without(self, worker: Worker):
        """Likewise."""
        environment = worker_environment(worker, {})

        assert not [name for name in environment.names() if not is_aws(name) and name not in NO_PROXY.keys() | OURS]
        assert variables(environment).items() >= (AWS_TABLE | NO_PROXY).items()

    @pytest.mark.parametrize("without", [frozenset(), frozenset({Kind.AZURE, Kind.DATABRICKS})])
    def test_azure_and_databricks_are_there_where_they_are_granted(self, without: frozenset[Kind]):
        """And untouched where `--without` names them."""
        worker = Worker(plane=PLANE, azure=True, databricks=DatabricksGrant(name="lake"), without=without)
        names = set(worker_environment(worker, {}).names()) - OURS - NO_PROXY.keys()

        assert {"IDENTITY_ENDPOINT", "DATABRICKS_METADATA_SERVICE_URL"} <= names or (without and not names)

    def test_a_worker_without_any_still_finds_its_broker(self):
        """For `whoami`, and for whatever it is granted later."""
        environment = worker_environment(Worker(plane=PLANE), {})

        assert set(environment.names()) == OURS | NO_PROXY.keys()
        assert variables(environment)["CREDBROKER_WORKER"] == "http://127.0.0.1:9911"


class TestNoProxy:
    @pytest.mark.parametrize(
        ("before", "upper", "lower"),
        [
            ({}, "127.0.0.1,localhost", "127.0.0.1,localhost"),
            ({"NO_PROXY": ".corp"}, ".corp,127.0.0.1,localhost", ".corp,127.0.0.1,localhost"),
            ({"no_proxy": ".corp"}, ".corp,127.0.0.1,localhost", ".corp,127.0.0.1,localhost"),
            ({"NO_PROXY": "a", "no_proxy": "b"}, "a,127.0.0.1,localhost", "b,127.0.0.1,localhost"),
            ({"NO_PROXY": "localhost, 127.0.0.1"}, "localhost,127.0.0.1", "localhost,127.0.0.1"),
            ({"NO_PROXY": ""}, "127.0.0.1,localhost", "127.0.0.1,localhost"),
            ({"NO_PROXY": "*"}, "*", "*"),
        ],
    )
    def test_it_is_extended_never_replaced(self, before: dict[str, str], upper: str, lower: str):
        """Clients read one spelling or the other, and curl knows a star only alone."""
        after = variables(worker_environment(WORKER, before))

        assert (after["NO_PROXY"], after["no_proxy"]) == (upper, lower)


class TestPrivateHome:
    def test_it_is_an_empty_folder_of_the_workers_own(self):
        """For what looks only under $HOME."""
        worker = Worker(plane=PLANE, google=GOOGLE, private_home=f"{FOLDER}/home")
        environment = worker_environment(worker, {"HOME": "/home/ann"})

        assert applied(environment, {"HOME": "/home/ann"})["HOME"] == f"{FOLDER}/home"
        assert f"{FOLDER}/home" in environment.folders

    def test_otherwise_home_stays(self):
        """Most programs keep their settings there."""
        assert applied(worker_environment(WORKER, {}), {"HOME": "/home/ann"})["HOME"] == "/home/ann"


class TestReserved:
    def test_nothing_that_is_set_or_unset_may_be_configured_otherwise(self):
        """`broker.variables` knows every name, so that `env = {}` of a credential cannot undo what keeps SDKs in."""
        alipan = VariablesGrant(name="a", kind=Kind.ALIPAN, values=())
        sas = VariablesGrant(name="s", kind=Kind.AZURE_SAS, values=())
        more = {"variables": (alipan, sas), "azure": True, "databricks": DatabricksGrant(name="lake")}
        every = [msgspec.structs.replace(WORKER, oci=oci, **more) for oci in (OciGrant(), *KINDS)]
        names = {name for worker in every for name in worker_environment(worker, {}).names()}
        known = SET | UNSET | FREE | OURS

        assert sorted(names - known) == []

    def test_a_setting_has_the_last_word(self):
        """Of what the broker only guesses."""
        worker = msgspec.structs.replace(WORKER, settings=(("AWS_REGION", "mars-1"), ("S3_CANNED_ACL", "private")))
        made = variables(worker_environment(worker, {}))

        assert (made["AWS_REGION"], made["S3_CANNED_ACL"]) == ("mars-1", "private")

    def test_of_two_that_set_one_the_first_decides(self):
        """The clouds come before the others."""
        grants = tuple(
            VariablesGrant(name=name, kind=Kind.ENV, values=((name, Secret("x")),), settings=(("S", name), ("T", name)))
            for name in ("A", "B")
        )
        worker = msgspec.structs.replace(WORKER, variables=grants, settings=(("S", "cloud"),))
        made = variables(worker_environment(worker, {}))

        assert (made["S"], made["T"]) == ("cloud", "A")

    def test_secrets_and_settings_are_not_remembered(self):
        """What stood in their place may be a secret of the user's."""
        grant = VariablesGrant(name="a", kind=Kind.ENV, values=(("WANDB_API_KEY", Secret("ours")),))
        worker = msgspec.structs.replace(WORKER, variables=(grant,), settings=(("S3_CANNED_ACL", "private"),))
        environ = {"WANDB_API_KEY": "CANARY", "S3_CANNED_ACL": "CANARY"}

        assert "CANARY" not in variables(worker_environment(worker, environ))["CREDBROKER_OUTER"]


class TestSocket:
    def test_a_worker_knows_where_to_ask_who_it_is(self):
        """Where its daemon's control socket is known; it is no secret."""
        plane = msgspec.structs.replace(PLANE, socket="/run/credbroker/broker.sock")

        assert variables(worker_environment(Worker(plane=plane), {}))["CREDBROKER_WORKER_SOCKET"] == plane.socket
        assert "CREDBROKER_WORKER_SOCKET" not in variables(worker_environment(WORKER, {}))
