"""`credbroker token`: issued, listed, revoked."""

import json
import os
import pwd
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest

from broker import control_api as api
from broker.control_client import Client
from tests.cli.newcomer import ONE_ROLE, TRAIN, Newcomer
from tests.fakes.sts import FakeSts


def status_of(stage: Newcomer, token: str) -> int:
    """What the worker plane says to it."""
    listen = Client(str(stage.socket)).get("/status", api.Status).listen[0]
    request = urllib.request.Request(f"http://{listen}/aws/train", headers={"Authorization": token})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except HTTPError as refused:
        return refused.code


def listed(stage: Newcomer) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(stage.run("token", "list", "--json").out)
    return found


class TestIssue:
    def test_it_prints_the_token_alone(self, stage: Newcomer):
        """For a pipe into wherever it is needed."""
        ran = stage.run("token", "issue", "--caller", "batch")

        assert (ran.status, ran.err, ran.out[:4], len(ran.out)) == (0, "", "cbw_", 48)
        assert status_of(stage, ran.out.strip()) == 200

    def test_a_path_token_is_another(self, stage: Newcomer):
        """It ends up in URLs, so it opens less."""
        assert stage.run("token", "issue", "--caller", "me", "--for", "path").out.startswith("cbp_")

    def test_a_file_gets_it_private_and_without_a_newline(self, stage: Newcomer, tmp_path: Path):
        """SDKs read it whole. What was issued is said beside it."""
        ran = stage.run("token", "issue", "--caller", "batch", "--output", str(tmp_path / "token"))

        assert ((tmp_path / "token").stat().st_mode & 0o777, len((tmp_path / "token").read_bytes())) == (0o600, 47)
        assert (ran.out, f"of batch is in {tmp_path}/token, until " in ran.err) == ("", True)

    def test_a_file_that_cannot_be_written_leaves_no_token(self, stage: Newcomer, tmp_path: Path):
        """Nobody has it."""
        before = {row["id"] for row in listed(stage)}  # some of them end meanwhile
        (tmp_path / "token").symlink_to("elsewhere")
        ran = stage.run("token", "issue", "--caller", "batch", "--output", str(tmp_path / "token"))

        assert (ran.status, "symbolic link" in ran.err) == (1, True)
        assert {row["id"] for row in listed(stage)} <= before

    @pytest.mark.parametrize("user", [str(os.getuid()), pwd.getpwuid(os.getuid()).pw_name])
    def test_it_can_be_bound_to_a_user(self, stage: Newcomer, user: str):
        """By name or number."""
        stage.run("token", "issue", "--caller", "batch", "--uid", user)

        assert listed(stage)[-1]["uid"] == os.getuid()

    def test_a_user_who_does_not_exist_is_wrong_usage(self, stage: Newcomer):
        """A typing mistake."""
        ran = stage.run("token", "issue", "--caller", "batch", "--uid", "nosuchuser")

        assert (ran.status, "there is no user 'nosuchuser'" in ran.err) == (2, True)

    def test_a_caller_that_does_not_exist_is_4(self, stage: Newcomer):
        """As one that is not for him to issue."""
        assert stage.run("token", "issue", "--caller", "nobody").status == 4


class TestList:
    def test_it_never_shows_a_token(self, stage: Newcomer):
        """Only its id, which opens nothing."""
        token = stage.run("token", "issue", "--caller", "batch").out.strip()
        page = stage.run("token", "list").out

        assert (page.splitlines()[0].split()[:2], token in page, "cbw_" in page) == (["ID", "CALLER"], False, False)
        assert {one["token"] for one in listed(stage)} == {None}


class TestRevoke:
    def test_the_next_request_is_refused(self, stage: Newcomer):
        """By the id of the list's first column."""
        token = stage.run("token", "issue", "--caller", "batch").out.strip()
        token_id = stage.run("token", "list").out.splitlines()[-1].split()[0]
        assert status_of(stage, token) == 200
        ran = stage.run("token", "revoke", token_id)

        assert ran.outcome == (0, "1 token is revoked")
        assert status_of(stage, token) == 401

    def test_several_end_at_once_and_the_others_are_told(self, stage: Newcomer):
        """What can be ended is."""
        tokens = [stage.run("token", "issue", "--caller", "batch").out.strip() for _ in range(2)]
        ids = [str(one["id"]) for one in listed(stage)[-2:]]
        ran = stage.run("token", "revoke", ids[0], "0123456789ab", ids[1])

        assert ran.outcome == (
            1,
            "2 tokens are revoked\nno token of that id that you may see: 0123456789ab; credbroker token list has them",
        )
        assert [status_of(stage, token) for token in tokens] == [401, 401]

    def test_all_of_a_caller_end(self, stage: Newcomer):
        """Without a question; those of others go on."""
        batch, me = (stage.run("token", "issue", "--caller", name).out.strip() for name in ("batch", "me"))
        ran = stage.run("token", "revoke", "--caller", "batch", "--json")

        assert (ran.status, ran.err, len(json.loads(ran.out)["ids"]) >= 1) == (0, "", True)
        assert [status_of(stage, token) for token in (batch, me)] == [401, 200]
        assert stage.run("token", "revoke", "--caller", "batch").outcome == (0, "0 tokens are revoked")

    def test_all_of_all_end(self, user: Newcomer, sts: FakeSts):
        """That he may see."""
        user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url))
        with user.serving():
            for _ in range(3):
                user.run("token", "issue", "--caller", "me")
            ran = user.run("token", "revoke", "--all")

            assert (ran.outcome, listed(user)) == ((0, "3 tokens are revoked"), [])

    @pytest.mark.parametrize("chosen", [[], ["--all", "--caller", "me"], ["0123456789ab", "--all"]])
    def test_it_must_be_said_which(self, stage: Newcomer, chosen: list[str]):
        """Nobody ends everything by a word that was left out."""
        ran = stage.run("token", "revoke", *chosen)

        assert (ran.status, "which tokens?" in ran.err) == (2, True)

    def test_a_caller_that_is_not_there_is_4(self, stage: Newcomer):
        """As with `issue`."""
        assert stage.run("token", "revoke", "--caller", "nosuch").status == 4

    @pytest.mark.parametrize("token_id", ["0123456789ab", "../whoami"])
    def test_one_that_is_not_there_is_told(self, stage: Newcomer, token_id: str):
        """With the way to see which are."""
        assert stage.run("token", "revoke", token_id).outcome == (
            1,
            f"0 tokens are revoked\nno token of that id that you may see: {token_id}; credbroker token list has them",
        )
