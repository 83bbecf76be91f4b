"""`credbroker check`: who am I on each cloud, and what is wrong."""

import json
import re
import socket
import time
from collections.abc import Iterator

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
    WORLD,
    Newcomer,
    newcomer,
)
from tests.cli.terminal import at_terminal
from tests.fakes.google import FakeGoogle
from tests.fakes.google.__main__ import WORKER, introduction
from tests.fakes.sts import FakeSts

HOST = socket.gethostname().partition(".")[0]


def rows(page: str) -> dict[str, list[str]]:
    """The table's lines by credential."""
    lines = page.partition("RESULT\n")[2].partition("\n\n")[0].splitlines()
    return {line.split()[0]: line.split() for line in lines}


@pytest.fixture
def both(sts: FakeSts) -> Iterator[Newcomer]:
    """Somebody known to AWS by his profile and to Google by a key file."""
    with FakeGoogle() as google, newcomer(sts) as found:
        found.environment["GOOGLE_APPLICATION_CREDENTIALS"] = introduction(google, found.folder)["key_file"]
        yield found


class TestNewcomer:
    def test_one_screen_says_who_one_is_on_each_cloud(self, both: Newcomer):
        """Without any configuration."""
        ran = both.run("check")

        assert (ran.status, ran.err) == (0, "")
        assert rows(ran.out)["aws"][3:5] == [f"arn:aws:iam::{ACCOUNT}:user/alice", ACCOUNT]
        assert rows(ran.out)["gcp"][3] == WORKER
        assert len(ran.out.splitlines()) < 25

    def test_a_cloud_without_an_identity_says_how_to_get_one(self, user: Newcomer):
        """He may not know that there is another."""
        ran = user.run("check")

        assert ran.status == 0
        assert "gcp: google-auth found no identity" in ran.out
        assert "`gcloud auth application-default login`" in ran.out

    def test_no_identity_at_all_says_what_was_looked_for_and_how_to_log_in(self, nobody: Newcomer):
        """The first thing that happens to a newcomer."""
        status, words = nobody.run("check").outcome

        assert status == 1
        for word in (
            "~/.aws",
            "aws configure",
            "aws sso login",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "gcloud auth",
            "config example",
        ):
            assert word in words

    def test_an_identity_of_no_use_is_told_rather_than_passed_over(self, user: Newcomer):
        """A misspelt AWS_PROFILE is not the same as none."""
        ran = user.run("check", AWS_PROFILE="prodd")

        assert (ran.status, rows(ran.out)["aws"][-2:]) == (1, ["FAILED:", "ProfileNotFound"])
        assert "aws: the profile prodd does not exist" in ran.out

    def test_minters_that_cannot_start_are_not_the_same_as_no_identity(self, user: Newcomer):
        """No descriptor is left for the way to one."""
        ran = user.shell(["/bin/sh", "-c", 'ulimit -n 9; exec "$@"', "sh", *CREDBROKER, "check"])

        assert ran.outcome == (1, "no minter process can be started: Too many open files")

    def test_a_clock_that_is_off_is_told(self):
        """Five minutes of it and AWS refuses every signature."""
        with FakeSts(WORLD, now=lambda: time.time() - 60) as late, newcomer(late) as user:
            assert re.search(r"clock: this machine is 6[01] s ahead of upstream", user.run("check").out)


class TestConfiguration:
    def test_what_cannot_be_minted_stands_beside_what_can(self, user: Newcomer, sts: FakeSts):
        """Status 1, and below the table what to do about it."""
        user.configure(f"""
            [credentials.train]
            source = "aws-assume-role"
            role_arn = "{TRAIN}"
            endpoint_url = "{sts.url}"
            [credentials.closed]
            source = "aws-assume-role"
            role_arn = "{CLOSED}"
            endpoint_url = "{sts.url}"
            [callers.me]
            ME
            grants = ["train", "closed"]
            """)
        ran = user.run("check")

        assert (ran.status, rows(ran.out)["train"][-1], rows(ran.out)["closed"][-1]) == (1, "ok", "AccessDenied")
        assert "closed: cannot assume" in ran.out
        assert "readiness: a daemon would wait for closed: its" in ran.out

    def test_json_has_the_same(self, user: Newcomer):
        """For programs; standard output has nothing else."""
        found = json.loads(user.run("check", "--json").out)

        assert [(one["credential"], one["facts"]["account"], one["error"]) for one in found] == [("aws", ACCOUNT, None)]
        assert found[0]["lifetime"] == pytest.approx(43_200, abs=60)

    def test_offline_asks_nobody(self, user: Newcomer, sts: FakeSts):
        """For a check before a commit."""
        path = user.configure(CHAIN.format(device=DEVICE, sts=sts.url, role=GUARDED))
        ran = user.run("check", "--offline")

        assert (ran.status, sts.calls) == (0, [])
        assert ran.out == f"configuration: {path}, without a mistake\ncredentials: base, role\ncallers: me\n"

    @pytest.mark.parametrize("more", [("--offline",), ()])
    def test_mistakes_are_told_to_programs_too(self, user: Newcomer, sts: FakeSts, more: tuple[str, ...]):
        """As to people, with the same status: each with its file, its line, its place and what is wrong there."""
        path = user.configure(f"{CHAIN.format(device=DEVICE, sts=sts.url, role=GUARDED)}\n[callers.x]\nuid = -1\n")
        words, json_too = user.run("check", *more), user.run("check", *more, "--json")
        (mistake,) = json.loads(json_too.out)["mistakes"]

        assert (words.status, words.out, json_too.status, json_too.err) == (2, "", 2, words.err)
        assert words.outcome[1] == f"{mistake['place']}: {mistake['text']}"
        assert mistake["file"] == str(path)
        assert path.read_text().splitlines()[mistake["line"] - 1] == "uid = -1"

    def test_a_file_that_is_not_there_is_one_of_them(self, user: Newcomer):
        """It has no line."""
        ran = user.run("check", "--json", "--config", "absent.toml")

        assert (ran.status, json.loads(ran.out)["mistakes"][0]["place"]) == (2, "--config")

    @pytest.mark.parametrize("configured", [True, False])
    def test_offline_has_json_too(self, user: Newcomer, sts: FakeSts, configured: bool):
        """Whether or not there is a file."""
        files = [str(user.configure(CHAIN.format(device=DEVICE, sts=sts.url, role=GUARDED)))] if configured else []

        found = json.loads(user.run("check", "--offline", "--json").out)

        assert (found["files"], found["mistakes"], found["state"]) == (files, [], None)

    def test_a_service_of_minters_that_is_not_there_is_said(self, user: Newcomer, sts: FakeSts):
        """This command mints by children of its own: all may be well here, and nothing be minted by the daemon."""
        path = user.folder / "minter.sock"
        user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url), daemon=f'minter_socket = "{path}"')
        absent = user.run("check")
        with socket.socket(socket.AF_UNIX) as service:
            service.bind(str(path))
            service.listen()
            there = user.run("check")

        assert (absent.status, there.status, there.err) == (0, 0, "")
        assert f"minter_socket: no minter answers at {path}: No such file or directory" in absent.err


class TestMfa:
    @pytest.fixture(autouse=True)
    def _chain(self, user: Newcomer, sts: FakeSts) -> None:
        user.configure(CHAIN.format(device=DEVICE, sts=sts.url, role=GUARDED))

    def test_the_code_is_asked_for_once_and_the_chain_is_minted_with_it(self, user: Newcomer, sts: FakeSts):
        """The base needs it, and the role is closed to a session without it. What is typed is not shown."""
        with at_terminal(user, "check") as terminal:
            terminal.expect("MFA code for base: ")
            terminal.type(f"{CODES[0]}\n")
            status, page = terminal.end()

        assert (status, rows(page)["role"][3]) == (0, f"arn:aws:sts::{ACCOUNT}:assumed-role/guarded/{HOST}-me")
        assert "a daemon would wait for base, role: its /readyz counts these as missing; it has no MFA code" in page
        assert (sts.count("GetSessionToken"), sts.registry.latest().mfa) == (1, True)

    def test_a_refused_code_is_a_finding(self, user: Newcomer):
        """With what may be wrong."""
        with at_terminal(user, "check") as terminal:
            terminal.expect("MFA code for base: ")
            terminal.type("000000\n")
            status, page = terminal.end()

        assert (status, rows(page)["base"][-1]) == (1, "AccessDenied")
        assert "MFA code" in page

    def test_without_a_terminal_it_is_a_finding_too(self, user: Newcomer):
        """The other credentials are checked all the same."""
        ran = user.run("check")

        assert (ran.status, rows(ran.out)["base"][-1], rows(ran.out)["role"][-1]) == (1, "MfaRequired", "MfaRequired")
        assert "there is no terminal to ask at" in ran.out

    def test_a_profile_that_asks_for_one_is_known_by_its_answer(self, user: Newcomer, sts: FakeSts):
        """`mfa_serial` may stand in ~/.aws/config alone."""
        lines = f"role_arn = {GUARDED}\nsource_profile = default\nmfa_serial = {DEVICE}\n"
        user.profile(f"{lines}endpoint_url = {sts.url}\nregion = eu-west-1", "profile guarded")
        (user.home / ".config/credbroker/config.toml").unlink()
        with at_terminal(user, "check", AWS_PROFILE="guarded") as terminal:
            terminal.expect("MFA code for aws: ")
            terminal.type(f"{CODES[0]}\n")

            assert terminal.end()[0] == 0
        assert sts.registry.latest().mfa


class TestStateKey:
    @pytest.mark.parametrize("more", [(), ("--offline",), ("--json",)])
    def test_a_key_that_is_of_no_use_is_told(self, more: tuple[str, ...], user: Newcomer, sts: FakeSts):
        """Before the daemon would keep nothing."""
        key = user.folder / "key"
        daemon = f'state_dir = "{user.folder}/state"\nstate_key = {{ file = "{key}" }}'
        user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url), daemon=daemon)
        key.write_bytes(bytes(range(31)))
        key.chmod(0o600)
        short = user.run("check", *more)
        key.write_bytes(bytes(range(32)))
        fine = user.run("check", *more)

        assert short.status == 1
        assert f"credbroker: state_key: {key} must hold exactly 32 bytes" in short.err
        assert (fine.status, fine.err) == (0, "")

    def test_a_folder_that_is_of_no_use_is_told(self, user: Newcomer, sts: FakeSts):
        """Nothing is made or mended."""
        folder = user.folder / "state"
        user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url), daemon=f'state_dir = "{folder}"')
        absent = user.run("check", "--offline")
        there = folder.exists()
        folder.mkdir(0o755)
        open_ = user.run("check", "--offline", "--json")

        assert (absent.status, there) == (0, False)
        assert f"state_dir: {folder} is not there yet: the daemon makes it" in absent.out
        assert open_.status == 1
        assert "others may enter it; chmod 700" in json.loads(open_.out)["state"]["wrong"][0]
        assert "a daemon would start, and keep no lease" in open_.err
        assert folder.stat().st_mode & 0o777 == 0o755
