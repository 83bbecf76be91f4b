"""`credbroker explain`: the rule, the mint, and the reason of a refusal, on a running daemon and by a file."""

import json
import os
import re
import urllib.error
import urllib.request

import msgspec
import pytest

from broker import control_api as api
from broker.cli.explain_command import page
from tests.cli.newcomer import TRAIN, Newcomer


def a_refusal(user: Newcomer, path: str) -> str:
    """What the worker plane says to our own uid."""
    status = msgspec.json.decode(user.run("status", "--json").out, type=api.Status)
    request = urllib.request.Request(f"http://{status.listen[0]}{path}", headers={"Authorization": "attested"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            raise AssertionError(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return str(json.loads(error.read())["message"])


class TestCredential:
    def test_what_is_allowed_is_told_with_its_rule_and_what_upstream_is_asked(self, stage: Newcomer):
        """On one screen."""
        ran = stage.run("explain", "--caller", "me", "train")
        place = re.escape(str(stage.home / ".config/credbroker/config.toml"))

        assert ran.status == 0
        assert ran.out.startswith("allowed: me is granted train\n")
        assert re.search(rf"^caller   me, entry 1 of 2: {place}:\d+ \[callers\.me\]$", ran.out, re.MULTILINE)
        assert "train, data, closed: train is number 1 of 3; AWS's default\n" in ran.out
        assert f"({os.getuid()}" not in ran.out
        assert re.search(rf"^ +role_arn +{TRAIN}$", ran.out, re.MULTILINE)
        assert re.search(r"^ +session_name +[A-Za-z0-9_-]+-me$", ran.out, re.MULTILINE)
        assert re.search(r"^ +duration +60m$", ran.out, re.MULTILINE)

    def test_what_is_not_granted_is_4(self, stage: Newcomer):
        """With the nearest name, and what to do."""
        ran = stage.run("explain", "--caller", "batch", "data")
        misspelt = stage.run("explain", "--caller", "batch", "trian")

        assert (ran.status, misspelt.status) == (4, 4)
        assert ran.out.startswith("DENIED: batch is not granted data\nwhat to do: ")
        assert "did you mean `train`?" in misspelt.out

    def test_json_has_all_of_it(self, stage: Newcomer):
        """For programs; the exit status is the same."""
        ran = stage.run("explain", "--caller", "me", "data", "--json")
        found = msgspec.json.decode(ran.out, type=api.Explanation)

        assert (ran.status, found.allowed, found.default_of, found.matched) == (0, True, "gcp", f"uid {os.getuid()}")
        assert found.mints[0].spec["scopes"]

    def test_a_file_is_explained_without_a_daemon(self, nobody: Newcomer):
        """Before one reads it; the running daemon's truth is another."""
        path = nobody.configure(f"""
            [credentials.home]
            source = "aws-assume-role"
            role_arn = "{TRAIN}"
            session_name = "home-{{user}}"
            [callers.pods]
            worker_token = true
            grants = ["home"]
            """)
        unbound = nobody.run("explain", "--config", str(path), "--caller", "pods", "home")
        bound = nobody.run("explain", "--config", str(path), "--caller", "pods", "--user", "root", "home")

        assert unbound.status == 4
        assert "{user} is not known for this caller" in unbound.out
        assert "session_name  home-{user}" in unbound.out
        assert (bound.status, "session_name  home-root" in bound.out) == (0, True)
        assert "this caller only with a worker token" in bound.out

    def test_without_a_daemon_it_is_3_and_says_how_else(self, nobody: Newcomer):
        """It does not guess by a file that no daemon may have read."""
        ran = nobody.run("explain", "--caller", "me", "train")

        assert (ran.status, "by --config FILE to explain it without one" in ran.err) == (3, True)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ((), "say --caller NAME and a CREDENTIAL, or --request ID"),
            (("train",), "say --caller NAME"),
            (("--caller", "me"), "and a CREDENTIAL"),
            (("--caller", "me", "--uid", "nosuchuser", "train"), "there is no user 'nosuchuser'"),
            (("--caller", "me", "--uid", "4294967295", "train"), "there is no user"),
            (("--request", "0" * 16, "train"), "--request ID stands alone"),
            (("--config", "x", "--socket", "y", "--caller", "me", "train"), "leave --socket out"),
            (("--request", "of too many"), "is 16 digits"),
        ],
    )
    def test_wrong_usage_is_2(self, nobody: Newcomer, arguments: tuple[str, ...], words: str):
        """Before any daemon is looked for."""
        ran = nobody.run("explain", *arguments)

        assert (ran.status, words in " ".join(ran.err.split())) == (2, True)


class TestRequest:
    def test_the_id_of_a_refusal_is_explained(self, stage: Newcomer):
        """As it stands in the body."""
        told = a_refusal(stage, "/aws/data")
        found = re.search(r"request ([0-9a-f]{16})", told)
        assert found is not None
        ran = stage.run("explain", "--request", found[1])
        row = msgspec.json.decode(stage.run("explain", "--request", found[1], "--json").out, type=api.DenialRow)

        assert ran.status == 0
        assert ran.out.startswith("403, not-granted: ")
        assert ran.out.endswith("the rule: credbroker explain --caller me data\n")
        assert (row.request_id, row.status, row.caller, row.credential) == (found[1], 403, "me", "data")

    def test_one_that_is_not_remembered_names_the_audit(self, stage: Newcomer):
        """1: nothing was denied by it that is known here."""
        ran = stage.run("explain", "--request", "0" * 16)

        assert (ran.status, "has every denial by its request_id" in ran.err) == (1, True)

    def test_one_of_too_many_has_no_id(self, nobody: Newcomer):
        """Which the words of that refusal are looked up for."""
        assert "failed to say who it is more than 100 times within 10 s" in " ".join(
            nobody.run("explain", "--request", "of too many: not kept").err.split()
        )


class TestPage:
    def test_whatever_stands_in_a_spec_is_one_line(self):
        """Lists of words, tables, numbers; nothing where nothing is set."""
        spec = {"policy": {"Version": "1"}, "scopes": ["a", "b"], "lifetime": 3600, "mixed": [1, "x"]}
        mint = api.MintAsked(credential="x", source="s", place="p", spec=spec, rendered=True)
        bare = api.MintAsked(credential="y", source="s", place="p", spec={}, rendered=True)
        shown = page(_explanation(mints=(mint, bare))).splitlines()

        assert shown[-6:] == [
            "  1. x: s (p)",
            '       policy    {"Version": "1"}',
            "       scopes    a, b",
            "       lifetime  60m",
            '       mixed     [1, "x"]',
            "  2. y: s (p)",
        ]

    def test_a_process_of_two_callers_is_told_what_it_gets(self):
        """By its uid it is the first of them."""
        text = page(_explanation(uid=7, matched="group vision", also=("a", "b"), first="a"))

        assert (
            "uid 7: this caller by group vision; also a, b, whose grants it has too; "
            "known by its uid it gets c as a, who comes first" in text
        )


def _explanation(**more: object) -> api.Explanation:
    """One that allows."""
    given: dict[str, object] = {
        "allowed": True,
        "reason": "granted",
        "why": "x is granted c",
        "advice": None,
        "caller": "x",
        "credential": "c",
        "place": "p",
        "nth": 1,
        "callers": 1,
        "grants": ("c",),
        "grant": 1,
        "default_of": None,
        "uid": None,
        "user": None,
        "group": None,
        "matched": None,
        "also": (),
        "first": None,
        "mints": (),
        "generation": "0",
    }
    return api.Explanation(**(given | more))  # type: ignore[arg-type]  # whatever a test names
