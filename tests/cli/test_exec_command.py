"""`credbroker exec`: whose broker, which environment, whose exit status."""

import contextlib
import json
import sys
import textwrap
from pathlib import Path

import pytest

from tests.cli.newcomer import (
    ACCOUNT,
    CHAIN,
    CLOSED,
    CODES,
    CREDBROKER,
    DEVICE,
    GUARDED,
    ONE_ROLE,
    TRAIN,
    Newcomer,
)
from tests.cli.terminal import at_terminal
from tests.fakes.sts import FakeSts

ALONE = "credbroker: caller local of a broker for this command alone\n"
BOTO3 = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
ENVIRON = "import json, os; print(json.dumps(dict(os.environ)))"


def environment(user: Newcomer, *options: str, **more: str) -> dict[str, str]:
    """What a command under `exec` finds in its environment."""
    found: dict[str, str] = json.loads(user.run("exec", *options, "--", sys.executable, "-c", ENVIRON, **more).out)
    return found


class TestNewcomer:
    def test_an_unchanged_program_works_with_nothing_but_a_profile(self, user: Newcomer):
        """The first line of the README."""
        ran = user.run("exec", "--", sys.executable, "-c", BOTO3)

        assert (ran.status, ran.out) == (0, f"arn:aws:iam::{ACCOUNT}:user/alice\n")
        assert ran.err.startswith(ALONE)

    def test_a_request_that_shows_nothing_gets_nothing(self, user: Newcomer):
        """Even from root, who needs no configuration here since containers run as root: only the token opens it."""
        code = "import os, urllib.request as u; u.urlopen(os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI'])"

        assert "HTTP Error 401" in user.run("exec", "--", sys.executable, "-c", code).err

    def test_nothing_is_left_behind(self, user: Newcomer):
        """No folder in the runtime folder and none in the temporary one."""
        seen = user.run("exec", "--", "sh", "-c", 'dirname "$CREDBROKER_WORKER_TOKEN_FILE"').out.strip()

        assert Path(seen).parent == user.runtime / "credbroker"
        assert [*Path(seen).parent.iterdir(), *user.temporary.iterdir()] == []

    def test_without_a_runtime_folder_it_makes_do_with_a_private_temporary_one(self, user: Newcomer):
        """As in containers and under `su`."""
        script = 'cd "$(dirname "$CREDBROKER_WORKER_TOKEN_FILE")"; pwd; stat -c %a . token'
        ran = user.shell([*CREDBROKER, "exec", "--", "sh", "-c", script], XDG_RUNTIME_DIR=None)
        folder, *modes = ran.out.split()

        assert (Path(folder).parent, modes) == (user.temporary, ["700", "600"])

    def test_no_identity_says_so_once(self, nobody: Newcomer):
        """And how to log in."""
        status, words = nobody.run("exec", "--", "true").outcome

        assert (status, words.count("aws configure")) == (1, 1)

    def test_what_the_only_identity_lacks_is_said_with_its_name(self, user: Newcomer):
        """Before the command starts, since none of its requests could be answered."""
        status, words = user.run("exec", "--", "echo", "hello", AWS_PROFILE="prodd").outcome

        assert status == 1
        assert "aws: the profile prodd does not exist" in words
        assert words.count("prodd does not exist") == 1


class TestCommand:
    @pytest.mark.parametrize(
        ("script", "status"), [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137), ("kill $$", 143)]
    )
    def test_its_exit_status_is_the_commands(self, stage: Newcomer, script: str, status: int):
        """128 and the number of a signal, as in a shell."""
        assert stage.run("exec", "--", "sh", "-c", script).status == status

    def test_its_output_is_the_commands_alone(self, stage: Newcomer):
        """What we say goes to standard error, under our name."""
        ran = stage.run("exec", "--", "sh", "-c", "cat; echo no >&2", stdin="yes")
        ours = [line for line in ran.err.splitlines() if not line.startswith("credbroker: ")]

        assert (ran.out, ours) == ("yes", ["no"])

    def test_its_options_are_its_own(self, stage: Newcomer):
        """Even without `--` between."""
        assert stage.run("exec", "sh", "-c", 'echo "$@"', "--", "--use", "--help").out == "--use --help\n"

    def test_open_files_of_the_user_are_the_commands(self, stage: Newcomer):
        """`exec -- diff <(one) <(other)`."""
        ran = stage.shell(["bash", "-c", f"{' '.join(CREDBROKER)} exec -- cat <(echo hello)"])

        assert ran.out == "hello\n"

    def test_one_that_is_not_there_is_127_before_anything_is_minted(self, user: Newcomer, sts: FakeSts):
        """Nobody is asked for an MFA code for the sake of a misspelt name."""
        ran = user.run("exec", "--", "pyhton")

        assert ran.outcome[0] == 127
        assert ran.outcome[1].startswith("pyhton: command not found")
        assert sts.calls == []

    def test_one_that_may_not_be_executed_is_126(self, user: Newcomer):
        """Likewise."""
        (user.home / "script").write_text("#!/bin/sh\n")
        ran = user.run("exec", "--", "./script")

        assert (ran.outcome[0], "may you execute it?" in ran.outcome[1]) == (126, True)


class TestWhoseBroker:
    def test_it_is_the_running_daemons(self, stage: Newcomer):
        """Which it says."""
        assert f"credbroker: caller me of the daemon at {stage.socket}" in stage.run("exec", "--", "true").err

    def test_a_configuration_that_is_named_gets_one_of_its_own(self, stage: Newcomer):
        """To try it before the daemon reads it."""
        path = stage.home / ".config/credbroker/config.toml"

        assert "of a broker for this command alone" in stage.run("exec", "--config", str(path), "--", "true").err

    def test_a_daemon_that_is_named_and_not_there_is_3(self, user: Newcomer):
        """Another one is not what was asked for."""
        ran = user.run("exec", "--socket", "/nonexistent/broker.sock", "--", "true")

        assert ran.outcome == (3, "no daemon answers at /nonexistent/broker.sock: No such file or directory")

    def test_mistakes_of_a_configuration_are_2(self, user: Newcomer):
        """All of them, and not a second time as the broker's end."""
        path = user.configure('[credentials.x]\nsource = "aws-sesion"\n[callers.me]\nME\ngrants = ["y"]\n')
        status, words = user.run("exec", "--", "true").outcome

        assert status == 2
        assert [line.split()[0] for line in words.splitlines()] == [f"{path}:7", f"{path}:11"]

    def test_a_command_within_a_command_has_the_first_ones_identity(self, stage: Newcomer):
        """Scripts that use it call each other."""
        inner = " ".join([*CREDBROKER, "exec", "--", sys.executable, "-c", f'"{BOTO3}"'])

        assert "assumed-role/train" in stage.run("exec", "--", "sh", "-c", inner).out


class TestOptions:
    def test_a_caller_that_one_may_not_be_is_4(self, stage: Newcomer):
        """Denied, by name."""
        ran = stage.run("exec", "--as", "nobody", "--", "true", CREDBROKER_SOCKET=str(stage.socket))

        assert (ran.outcome[0], "'nobody'" in ran.outcome[1]) == (4, True)

    def test_so_is_a_credential_that_is_not_granted(self, stage: Newcomer):
        """Named too: he has typed it."""
        advice = "not granted to me: prod; correct --use, or add it to `grants`"

        assert stage.run("exec", "--use", "prod", "--", "true").outcome == (4, advice)

    def test_an_issuer_may_be_a_caller_that_only_tokens_open(self, stage: Newcomer):
        """The daemon's own user is one."""
        found = environment(stage, "--as", "batch")

        assert found["AWS_CONTAINER_CREDENTIALS_FULL_URI"].endswith("/aws/train")
        assert "GCE_METADATA_HOST" not in found

    def test_a_cloud_can_be_left_alone(self, stage: Newcomer):
        """Nothing of it is set or unset."""
        found = environment(stage, "--without", "aws", AWS_PROFILE="mine")

        assert (found["AWS_PROFILE"], "AWS_CONTAINER_CREDENTIALS_FULL_URI" in found) == ("mine", False)
        assert "/w/cbp_" in found["GCE_METADATA_HOST"]

    def test_one_that_cannot_be_minted_is_warned_of_where_another_can(self, stage: Newcomer):
        """The command may need only that one."""
        ran = stage.run("exec", "--use", "closed,data", "--", "echo", "hello")

        assert (ran.status, ran.out) == (0, "hello\n")
        assert "credbroker: warning: closed: cannot assume" in ran.err

    def test_where_none_can_the_command_is_not_started(self, stage: Newcomer):
        """The status is upstream's: denied."""
        ran = stage.run("exec", "--use", "closed", "--", "echo", "hello")

        assert (ran.status, ran.out, "closed: cannot assume" in ran.err) == (4, "", True)

    def test_an_empty_home_is_there_for_the_asking(self, stage: Newcomer):
        """For programs that look nowhere else."""
        ran = stage.run("exec", "--private-home", "--", "sh", "-c", 'ls -A "$HOME"; stat -c %a "$HOME"')

        assert ran.out == "700\n"

    def test_the_token_stays_out_of_the_environment_if_told(self, stage: Newcomer):
        """It goes stale there; the file does not."""
        found = environment(stage, "--no-token-env")

        assert "CLOUDSDK_AUTH_ACCESS_TOKEN" not in found
        assert found["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"]


class TestMinted:
    @pytest.mark.parametrize("options", [(), ("--as", "me"), ("--as", "me", "--use", "train")], ids="".join)
    def test_a_broker_of_its_own_mints_what_is_wanted_and_nothing_else(
        self, user: Newcomer, sts: FakeSts, options: tuple[str, ...]
    ):
        """Elsewhere that would be keys, of which some stores allow two or three."""
        other = "\n[credentials.shut]\nsource = 'aws-assume-role'\nregion = 'eu-west-1'\n"
        other += f"role_arn = '{CLOSED}'\nendpoint_url = '{sts.url}'\n"
        other += "[callers.other]\nuid = 4711\nissuers = ['root']\ngrants = ['shut', 'train']\n"
        mine = ONE_ROLE.format(role=TRAIN, sts=sts.url)
        if "--use" in options:
            mine = mine.replace('grants = ["train"]', 'grants = ["train", "shut"]')
        user.configure(mine + textwrap.indent(other, "    "))

        ran = user.run("exec", "--private-home", *options, "--", "sh", "-c", "sleep 0.5")

        assert (ran.status, "AccessDenied" in ran.err) == (0, False)
        assert {call.form["RoleArn"] for call in sts.calls if call.action == "AssumeRole"} == {TRAIN}


class TestTokenFile:
    def test_it_holds_the_token_alone_from_the_start(self, stage: Newcomer):
        """It is read whole."""
        script = 'cd "$(dirname "$CLOUDSDK_AUTH_ACCESS_TOKEN_FILE")" && stat -c %a google-token && cat google-token'
        ran = stage.run("exec", "--", "sh", "-c", f'echo "$CLOUDSDK_AUTH_ACCESS_TOKEN"; {script}')
        in_variable, mode, in_file = ran.out.split("\n")

        assert (mode, in_file) == ("600", in_variable)
        assert in_file


class TestMfa:
    @pytest.fixture(autouse=True)
    def _chain(self, user: Newcomer, sts: FakeSts) -> None:
        user.configure(CHAIN.format(device=DEVICE, sts=sts.url, role=GUARDED))

    @pytest.mark.parametrize("daemon", [True, False])
    def test_the_code_that_a_chains_base_needs_is_asked_for(self, user: Newcomer, sts: FakeSts, daemon: bool):
        """By its own broker and by a running daemon alike, and again where it was mistyped."""
        serving = user.serving() if daemon else contextlib.nullcontext()
        with serving, at_terminal(user, "exec", "--", sys.executable, "-c", BOTO3) as terminal:
            terminal.expect("MFA code for role: ")
            terminal.type("000000\n")
            terminal.expect("MFA code for role: ")
            terminal.type(f"{CODES[0]}\n")
            terminal.expect("assumed-role/guarded/")

            assert terminal.end()[0] == 0
        assert sts.count("GetSessionToken") == 2

    def test_it_is_not_asked_for_again_while_the_lease_lives(self, user: Newcomer):
        """A daemon holds it for all who are granted it."""
        with user.serving():
            with at_terminal(user, "refresh", "role") as terminal:
                terminal.expect("MFA code for role: ")
                terminal.type(f"{CODES[0]}\n")
                terminal.end()

            assert user.run("exec", "--", "true").status == 0

    def test_without_a_terminal_it_says_how_to_give_one(self, user: Newcomer):
        """A batch job cannot be asked."""
        status, words = user.run("exec", "--", "true").outcome

        assert (status, "role needs an MFA code" in words, "`credbroker refresh role`" in words) == (1, True, True)
