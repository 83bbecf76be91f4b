"""The whole report."""

from pathlib import Path

import pytest

from broker.doctor import reaching
from broker.doctor.asking import Fetched, digest
from broker.doctor.broker_found import Broker
from broker.doctor.checks import Check
from broker.doctor.report import examine, lease_variables, reported
from tests.doctor.made import GOOGLE_WORKER, PLANE, facts
from tests.doctor.test_broker_found import nowhere

BROKER = Broker(answers=True, checks=(Check(name="broker", said="well"),), planes=frozenset({PLANE}))
THERE = frozenset({"boto3", "google-auth"})


class TestReported:
    def test_all_is_well_where_the_broker_wins_everywhere(self):
        """Exit status 0."""
        environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{PLANE}/aws", **GOOGLE_WORKER}
        report = reported(facts(environ, distributions=THERE), BROKER, "python")

        assert report.ok
        assert [(row.client, row.verdict) for row in report.clients] == [("boto3", "ok"), ("google-auth", "ok")]

    def test_one_shadow_is_enough(self):
        """Exit status 1."""
        report = reported(facts({"AWS_ACCESS_KEY_ID": "x"}, distributions=THERE), BROKER, "python")

        assert (report.ok, report.clients[0].verdict) == (False, "SHADOWED")

    def test_so_is_one_check(self):
        """Metadata within reach, though every client is well."""
        environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{PLANE}/aws", **GOOGLE_WORKER}
        report = reported(
            facts(environ, distributions=THERE, reachable=frozenset({"169.254.169.254"})), BROKER, "python"
        )

        assert [row.verdict for row in report.clients] == ["ok", "ok"]
        assert not report.ok

    def test_a_cloud_that_is_not_granted_has_no_rows(self):
        """It is left to the machine's own role."""
        broker = Broker(answers=True, checks=(), clouds=("gcp",))
        report = reported(facts(distributions=THERE), broker, "python")

        assert [row.client for row in report.clients] == ["google-auth"]


class TestLeaseVariables:
    def test_what_holds_the_lease_of_now_is_known_by_its_digest(self, tmp_path: Path):
        """A newline behind it is none of it."""
        path = tmp_path / "token"
        path.write_text("ya29.x\n")
        environ = {"CLOUDSDK_AUTH_ACCESS_TOKEN": "ya29.old", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(path)}
        lease = Fetched(identity=None, left=60, digest=digest("ya29.x"))

        assert lease_variables(environ, lease) == {"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"}
        assert lease_variables(environ, None) == frozenset()

    def test_a_pipe_is_not_waited_for(self):
        """It is no file to read a token from."""
        lease = Fetched(identity=None, left=60, digest=digest(""))

        assert lease_variables({"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": "/dev/zero"}, lease) == frozenset()


class TestExamine:
    def test_without_a_daemon_the_shadows_are_still_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Before the first `serve`."""
        monkeypatch.setattr(reaching, "_connects", lambda _: False)
        command = tmp_path / "aws"
        command.write_text("#!/bin/sh\n")
        command.chmod(0o755)
        environ = {"HOME": str(tmp_path), "PATH": str(tmp_path), "AWS_ACCESS_KEY_ID": "x"}

        report = examine(environ, None, nowhere)

        assert (report.broker, report.ok) == (False, False)
        assert [(row.client, row.provider) for row in report.clients] == [("aws", "env")]
