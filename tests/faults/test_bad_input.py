"""What administrators and users get wrong: what failed, for which credential, what to do, and the exit status."""

import hashlib
import json
import os
import socket
from collections.abc import Iterator

import pytest

from broker.control_client import Client
from tests.cli.newcomer import ACCOUNT, CLOSED, TRAIN, WORLD, Newcomer, newcomer
from tests.fakes.moto_process import Moto
from tests.fakes.sts import FakeSts
from tests.other_user import SOMEBODY
from tests.squatter import squatted

MISTAKEN = """
[deamon]
[credentials.train]
source = "aws-assume-rol"
[credentials.base]
source = "aws-session"
duraton = "1h"
duration = "a fortnight"
[callers.me]
uid = "nosuchuser"
grants = ["trian"]
"""
FAILING = """
    [credentials.train]
    source = "aws-assume-role"
    role_arn = "{train}"
    endpoint_url = "{sts}"
    [credentials.noprofile]
    source = "aws-session"
    profile = "prod"
    [credentials.sso]
    source = "aws-session"
    profile = "expired"
    [credentials.login]
    source = "aws-session"
    profile = "absent"
    [credentials.denied]
    source = "aws-assume-role"
    role_arn = "{closed}"
    endpoint_url = "{sts}"
    [credentials.region]
    source = "aws-assume-role"
    role_arn = "{train}"
    region = "eu-nowhere-9"
    endpoint_url = "{sts}"
    [credentials.token]
    source = "aws-web-identity"
    role_arn = "{train}"
    token_file = "{home}/token"
    endpoint_url = "{sts}"
    [credentials.noadc]
    source = "gcp-adc"
    [credentials.nofile]
    source = "gcp-adc"
    file = "/nonexistent/key.json"
    [credentials.garbage]
    source = "gcp-adc"
    file = "{home}/garbage.json"
    [callers.me]
    ME
    grants = ["train", "noprofile", "sso", "login", "denied", "region", "token", "noadc", "nofile", "garbage"]
"""
# What each says of itself, and the exit status of who asks for it.
WORDS = {
    "noprofile": (1, "the profile prod does not exist", "`aws configure --profile prod`"),
    "sso": (1, "the profile expired: its session has expired", "`aws sso login --profile expired`"),
    "login": (1, "the profile absent: its session has expired or was never begun", "`aws sso login --profile absent`"),
    "denied": (4, f"cannot assume {CLOSED}", "check the role's trust policy"),
    "region": (1, f"cannot assume {TRAIN} in eu-nowhere-9", "the region is not enabled for the account"),
    "token": (1, "/token cannot be read", "check that it exists and is readable"),
    "noadc": (1, "no Google identity was found", "`gcloud auth application-default login`"),
    "nofile": (1, "/nonexistent/key.json does not exist", "correct the path"),
    "garbage": (1, "/garbage.json", ""),
}


@pytest.fixture(scope="module")
def failing() -> Iterator[Newcomer]:
    """Somebody whose daemon holds one credential and can mint no other."""
    with FakeSts(WORLD) as sts, newcomer(sts) as user:
        for name in ("expired", "absent"):
            user.profile(
                f"sso_session = {name}\nsso_account_id = {ACCOUNT}\nsso_role_name = Dev\nregion = eu-west-1",
                f"profile {name}",
            )
            user.profile("sso_start_url = https://corp.example\nsso_region = eu-west-1", f"sso-session {name}")
        cache = user.home / ".aws/sso/cache" / f"{hashlib.sha1(b'expired').hexdigest()}.json"  # noqa: S324 - as botocore names it
        cache.parent.mkdir(parents=True)
        cache.write_text(json.dumps({"accessToken": "old", "expiresAt": "2020-01-01T00:00:00Z"}))
        (user.home / "token").mkdir()  # which nobody can read as a file, root neither
        (user.home / "garbage.json").write_text("{")
        user.configure(FAILING.format(sts=sts.url, train=TRAIN, closed=CLOSED, home=user.home))
        with user.serving():
            yield user


class TestConfiguration:
    @pytest.mark.parametrize("command", ["check", "check --offline", "serve", "exec -- true"])
    def test_every_mistake_is_told_at_once_with_its_place(self, nobody: Newcomer, command: str):
        """And once: what resembles a misspelt key stands beside it."""
        path = nobody.configure(MISTAKEN)
        status, words = nobody.run(*command.split()).outcome
        lines = [line.removeprefix(f"{path}:").partition(" ") for line in words.splitlines()]

        assert status == 2
        assert [place for place, _, _ in lines] == ["7", "9", "12", "13", "15", "16"]
        suggested = [text.partition("did you mean ")[2] for _, _, text in lines]
        assert suggested == ["`daemon`?", "`aws-assume-role`?", "`duration`?", "", "", "`train`?"]

    def test_nothing_that_it_says_quotes_a_value(self, nobody: Newcomer):
        """It may be a secret in the wrong place."""
        nobody.configure('[credentials.x]\nsource = "hunter2"\nrole_arn = "hunter2"\n[callers.me]\nuid = "hunter2"\n')
        ran = nobody.run("check")

        assert (ran.status, "hunter2" in ran.err) == (2, False)

    def test_a_file_that_others_may_write_is_refused(self, user: Newcomer):
        """They would decide what is minted."""
        path = user.configure("")
        path.chmod(0o666)

        assert user.run("serve").outcome == (2, f"{path}: can be changed by others; chmod go-w {path}")

    @pytest.mark.parametrize("variable", [False, True])
    def test_one_that_is_named_and_not_there_is_told(self, user: Newcomer, variable: bool):
        """No other is taken in its stead."""
        named = {"CREDBROKER_CONFIG": "/nonexistent.toml"} if variable else {}
        ran = user.run("check", *([] if variable else ["--config", "/nonexistent.toml"]), **named)

        place = "$CREDBROKER_CONFIG" if variable else "--config"
        assert ran.outcome == (2, f"{place}: names a file that does not exist; correct it or leave it out")


class TestCredentials:
    @pytest.mark.parametrize("name", WORDS)
    def test_whoever_asks_for_one_is_told_what_is_wrong_with_it(self, failing: Newcomer, name: str):
        """By name, with what to do."""
        expected, what, advice = WORDS[name]
        status, words = failing.run("get", name).outcome

        assert (status, words.startswith(f"{name}: ")) == (expected, True)
        assert (what in words, advice in words) == (True, True)

    def test_check_tells_all_of_it_on_one_screen(self, failing: Newcomer):
        """A line each in the table, a line each below it."""
        ran = failing.run("check")

        assert ran.status == 1
        assert [line.split()[0] for line in ran.out.splitlines() if "FAILED" in line] == [*WORDS]
        for name, (_, what, advice) in WORDS.items():
            (line,) = (line for line in ran.out.splitlines() if line.startswith(f"{name}: "))
            assert (what in line, advice in line) == (True, True)

    def test_status_tells_it_too(self, failing: Newcomer):
        """Of the daemon that runs; it is not ready, and serves what it has."""
        page = failing.run("status").out

        assert page.splitlines()[0].endswith("NOT READY")
        assert [name for name in WORDS if f"\n{name}: " not in page] == []
        assert failing.run("get", "train").status == 0

    def test_nothing_that_upstream_said_is_repeated(self, failing: Newcomer):
        """The strict fake says UPSTREAM-TEXT wherever AWS says something."""
        assert "UPSTREAM-TEXT" not in failing.run("status").out + failing.run("check").out + failing.log()

    def test_exec_starts_with_what_there_is(self, failing: Newcomer):
        """One cloud works, the other is warned of."""
        ran = failing.run("exec", "--", "echo", "hello")

        assert (ran.status, ran.out) == (0, "hello\n")
        assert "warning: noadc: no Google identity was found" in ran.err


class TestPlaces:
    def test_a_taken_port_is_told_with_the_way_to_who_has_it(self, user: Newcomer):
        """Status 1: the file is right."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            path = user.configure("")
            path.write_text(path.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}", 1))
            status, words = user.run("serve").outcome

        assert (status, words.startswith(f"127.0.0.1:{port} is taken: ")) == (1, True)

    def test_a_second_daemon_leaves_the_first_alone(self, failing: Newcomer):
        """It never steals a living socket."""
        status, words = failing.run("serve").outcome

        assert (status, words.startswith(f"cannot listen on {failing.socket}: another credbroker")) == (1, True)
        assert failing.run("get", "train").status == 0

    @pytest.mark.root
    def test_a_squatted_socket_gets_nothing_and_exec_goes_on_without(self, user: Newcomer):
        """Whoever put it there while the daemon was down is named."""
        folder = user.folder / "s"
        folder.mkdir()
        user.folder.chmod(0o711)
        os.chown(folder, SOMEBODY, SOMEBODY)
        path = user.configure("")
        path.write_text(path.read_text().replace(str(user.socket), f"{folder}/s"))
        with squatted(f"{folder}/s"):
            status = user.run("status", XDG_RUNTIME_DIR=None).outcome
            ran = user.run("exec", "--", "true")

        words = f"{folder}/s is held by uid {SOMEBODY}, who is neither you nor the daemon: nothing was sent"
        assert (status[0], f"  {words}" in status[1].splitlines()) == (3, True)
        assert f"credbroker: warning: {words}" in ran.err.splitlines()


class TestFailedMint:
    def test_it_takes_nothing_away(self):
        """Upstream goes down in mid-run: whoever asks for a new lease is told, everybody else never notices."""
        with Moto() as moto, newcomer() as user:
            user.profile(f"region = eu-west-1\nendpoint_url = {moto.url}")
            (user.home / ".aws/credentials").write_text(
                "[default]\naws_access_key_id = AKIA\naws_secret_access_key = x\n"
            )
            user.configure(f"""
                [credentials.train]
                source = "aws-assume-role"
                role_arn = "{TRAIN}"
                [callers.me]
                ME
                grants = ["train"]
                """)
            with user.serving():
                held = Client(str(user.socket)).lease("train")
                moto.stop()
                status, words = user.run("refresh", "train").outcome

                assert (status, words.startswith("train: cannot assume ")) == (1, True)
                assert "no connection to the endpoint" in words
                assert Client(str(user.socket)).lease("train") == held
                assert user.run("exec", "--", "true").status == 0
                assert " stale " in user.run("status").out
