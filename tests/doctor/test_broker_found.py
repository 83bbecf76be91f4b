"""Which broker a worker has, and what it gives."""

import pytest

from broker.control_client import Client
from broker.doctor import asking
from broker.doctor.broker_found import broker_of, is_bare, meant
from broker.errors import NoDaemon
from tests.doctor.answering import answering
from tests.doctor.made import PLANE


def nowhere() -> Client:
    raise NoDaemon("no daemon answers: start one with `credbroker serve`, or name its --socket; looked at\n  x")


class TestOfWorker:
    def test_it_is_where_the_environment_says(self, token_file: str):
        """One lease of each cloud."""
        with answering() as server:
            found = broker_of(server.environment(token_file), nowhere)

        assert (found.answers, found.planes, found.clouds) == (True, frozenset({server.plane}), ("aws", "gcp"))
        assert [(one.name, one.ok) for one in found.checks] == [
            ("broker", True), ("aws lease", True), ("gcp lease", True),
        ]  # fmt: skip

    def test_a_squatted_port_gets_not_one_request(self, token_file: str, monkeypatch: pytest.MonkeyPatch):
        """Nor is it a broker to any client: fault 43."""
        monkeypatch.setattr(asking, "tcp_listener_owner", lambda _: 4711)
        with answering() as server:
            found = broker_of(server.environment(token_file), nowhere)

        assert server.asked == []
        assert (found.answers, found.planes) == (False, frozenset())
        assert "stranger" in found.checks[0].said

    def test_a_lease_that_is_refused_fails_its_check_alone(self, token_file: str):
        """The other cloud may be well."""
        with answering({"/": "", "/aws/train": "{}"}) as server:
            found = broker_of(server.environment(token_file), nowhere)

        assert found.answers
        assert [one.ok for one in found.checks] == [True, False, False]

    def test_a_daemon_that_has_ended_is_told(self, token_file: str):
        """Exit status 3."""
        with answering() as server:
            environment = server.environment(token_file)

        assert not broker_of(environment, nowhere).answers


class TestOfSocket:
    def test_no_daemon_leaves_every_cloud_to_be_looked_at(self):
        """What shadows is worth knowing before the first start, in one line."""
        found = broker_of({}, nowhere)

        assert (found.answers, found.clouds) == (False, ("aws", "gcp", "azure", "databricks", "oci"))
        assert found.checks[0].said == "no daemon answers"


class TestMeant:
    def test_a_cloud_is_meant_by_an_address_or_by_a_file(self):
        """One that `--without` names has neither."""
        marks = {"CREDBROKER_WORKER_TOKEN_FILE": "/run/w/token"}

        assert meant({"GCE_METADATA_ROOT": f"{PLANE}/w/cbp_x"}, PLANE) == ("gcp",)
        assert meant(marks | {"AWS_CONFIG_FILE": "/run/w/aws-config"}, PLANE) == ("aws",)
        assert meant(marks | {"AWS_CONFIG_FILE": "/home/a/.aws/config"}, PLANE) == ()
        assert meant(marks | {"IDENTITY_ENDPOINT": f"http://{PLANE}/azure/token"}, PLANE) == ("azure",)
        assert meant({"DATABRICKS_METADATA_SERVICE_URL": f"http://{PLANE}/databricks/x"}, PLANE) == ("databricks",)
        assert meant(marks | {"OCI_RESOURCE_PRINCIPAL_RPST": "/run/w/oci/current/rpst"}, PLANE) == ("oci",)


class TestIsBare:
    def test_a_shell_that_nothing_has_set_up(self):
        """Be there a daemon or not."""
        planes = frozenset({PLANE})

        assert is_bare({"AWS_PROFILE": "x", "IDENTITY_ENDPOINT": "http://127.0.0.1:1"}, planes)
        assert not is_bare({"CREDBROKER_WORKER": "http://127.0.0.1:1"}, frozenset())
        assert not is_bare({"IDENTITY_ENDPOINT": f"http://{PLANE}/azure/token"}, planes)
