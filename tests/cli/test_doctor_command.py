"""`credbroker doctor`: one screen, a status for scripts, and nothing to a stranger."""

import json
import sys

import click
import pytest

from broker.cli.doctor_command import BARE, chosen, page
from broker.doctor.checks import Check
from broker.doctor.report import Report, Row
from tests.cli.newcomer import CREDBROKER, Newcomer

SHADOWED = Row(client="boto3", cloud="aws", provider="env", verdict="SHADOWED", why="X is set", remedy="unset X")
WELL = Row(client="s3fs", cloud="aws", provider="container-role", verdict="ok", why="it is the broker", remedy=None)


def rows(out: str, name: str) -> list[dict[str, str]]:
    """One of the lists of the JSON form."""
    found: list[dict[str, str]] = json.loads(out)[name]
    return found


def failed(out: str) -> list[str]:
    """The checks with a remedy, but for the machine's network, which is not ours."""
    return [one["name"] for one in rows(out, "checks") if one["remedy"] and one["name"] != "instance metadata"]


class TestPage:
    def test_a_shadow_stands_with_its_remedy(self):
        """What wins, why, what to do: in one line."""
        check = Check(name="proxies", said="none is set")
        report = Report(ok=False, broker=True, python="/p", clients=(SHADOWED, WELL), checks=(check,))
        lines = [line.split(maxsplit=4) for line in page(report).splitlines()]

        assert ["boto3", "aws", "env", "SHADOWED", "X is set: unset X"] in lines
        assert ["s3fs", "aws", "container-role", "ok", "it is the broker"] in lines
        assert ["proxies", "ok", "none", "is", "set"] in lines

    def test_no_client_is_said(self):
        """An empty table would look like health."""
        assert "no client" in page(Report(ok=True, broker=True, python=None, clients=(), checks=()))


class TestChosen:
    def test_what_is_no_program_is_wrong_usage(self):
        """Exit status 2."""
        with pytest.raises(click.BadParameter):
            chosen("/absent/python")


class TestCommand:
    def test_under_exec_every_client_of_the_worker_comes_to_the_broker(self, stage: Newcomer):
        """A user with static keys in ~/.aws; boto3 and google-auth are installed here."""
        ran = stage.run("exec", "--", *CREDBROKER, "doctor", "--json", "--python", sys.executable)
        found = {(row["client"], row["cloud"]): row["verdict"] for row in rows(ran.out, "clients")}

        assert (found["boto3", "aws"], found["google-auth", "gcp"]) == ("ok", "ok")
        assert failed(ran.out) == []
        assert ran.status == (0 if json.loads(ran.out)["ok"] else 1)

    def test_a_bare_environment_is_told_what_wins(self, stage: Newcomer):
        """The keys below home; and where the daemon is, it is asked as the user."""
        ran = stage.run("doctor", "--json", "--python", sys.executable)
        found = {(row["client"], row["cloud"]): row for row in rows(ran.out, "clients")}

        assert (ran.status, json.loads(ran.out)["broker"]) == (1, True)
        assert found["boto3", "aws"]["provider"] == "shared-credentials-file"

    def test_no_secret_is_shown(self, stage: Newcomer):
        """It is pasted into tickets."""
        for form in ((), ("--json",)):
            ran = stage.run("exec", "--", *CREDBROKER, "doctor", *form)

            assert not any(secret in ran.out + ran.err for secret in ("cbw_", "cbp_", "alice/secret", "ya29"))

    def test_a_cloud_that_is_left_alone_has_no_rows(self, stage: Newcomer):
        """`--without gcp`."""
        ran = stage.run("exec", "--without", "gcp", "--", *CREDBROKER, "doctor", "--json", "--python", sys.executable)

        assert {row["cloud"] for row in rows(ran.out, "clients")} == {"aws"}

    def test_a_proxy_that_is_not_exempted_fails(self, stage: Newcomer):
        """It breaks every client."""
        ran = stage.run("doctor", "--json", HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="example.com")

        assert "proxies" in failed(ran.out)

    def test_without_a_daemon_it_is_3(self, nobody: Newcomer):
        """And the table stands all the same."""
        ran = nobody.run("doctor")

        assert (ran.status, "no daemon answers" in ran.out) == (3, True)

    def test_a_bare_shell_is_told_so_first(self, stage: Newcomer):
        """In one line; what wins there is not what a worker gets."""
        bare, worker = stage.run("doctor"), stage.run("exec", "--", *CREDBROKER, "doctor")

        assert bare.out.splitlines()[0] == BARE
        assert BARE not in worker.out
