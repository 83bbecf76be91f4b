"""`credbroker refresh`: anew, now, and nothing is lost by it."""

import os
import pwd
from collections.abc import Iterator

import pytest

from broker import control_api as api
from broker.control_client import Client
from tests.cli.newcomer import CODES, DEVICE, GUARDED, ONE_ROLE, TRAIN, Newcomer
from tests.cli.terminal import at_terminal
from tests.fakes.sts import FakeSts, fault

NEEDING = """
    [credentials.role]
    source = "aws-assume-role"
    role_arn = "{role}"
    mfa_serial = "{device}"
    endpoint_url = "{sts}"

    [callers.me]
    ME
    grants = ["role"]

    [callers.other]
    worker_token = true
    grants = ["role"]
"""


def leases(user: Newcomer) -> tuple[api.LeaseRow, ...]:
    return Client(str(user.socket)).get("/status", api.Status).leases


class TestCommand:
    @pytest.fixture(autouse=True)
    def _serving(self, user: Newcomer, sts: FakeSts) -> Iterator[None]:
        user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url))
        with user.serving():
            yield

    def test_it_says_what_it_brought(self, user: Newcomer, sts: FakeSts):
        """On standard error: there is no data in it."""
        user.run("get", "train")
        sts.rules.lifetime = 7200
        ran = user.run("refresh", "train")

        assert (ran.outcome, ran.out) == ((0, "train for me: lease 2, 119m to live"), "")

    def test_it_says_whose_they_are(self, user: Newcomer, sts: FakeSts):
        """An operator has every user's minted anew."""
        user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url).replace("region", 'session_name = "{user}"\nregion', 1))
        assert user.run("reload").status == 0
        ran = user.run("refresh", "train")

        name = pwd.getpwuid(os.getuid()).pw_name
        assert ran.outcome == (0, f"train for me ({name}): lease 1, 59m to live")

    def test_a_failed_one_leaves_what_is_held(self, user: Newcomer, sts: FakeSts):
        """It is told with the credential's name, and the lease is served on."""
        before = user.run("get", "train").out
        sts.script = lambda _: fault("ServiceUnavailable", 503)
        status, words = user.run("refresh", "train").outcome

        assert (status, words.startswith("train: ")) == (1, True)
        assert user.run("get", "train").out == before

    @pytest.mark.parametrize("name", ["prod", "../status"])
    def test_a_name_that_is_not_there_is_denied_as_by_get(self, user: Newcomer, name: str):
        """Whatever was typed; a script need not know which of the two it was."""
        assert user.run("get", name).status == 4
        assert user.run("refresh", name).outcome == (
            4,
            f"{name}: no lease of that name that you may see: credbroker status lists them",
        )


class TestMfa:
    @pytest.fixture(autouse=True)
    def _serving(self, user: Newcomer, sts: FakeSts) -> Iterator[None]:
        user.configure(NEEDING.format(role=GUARDED, device=DEVICE, sts=sts.url))
        with user.serving():
            yield

    def test_one_code_mints_one_lease(self, user: Newcomer, sts: FakeSts):
        """Another caller's needs another: a code is good once."""
        for code in CODES[:2]:
            with at_terminal(user, "refresh", "role") as terminal:
                terminal.expect("MFA code for role: ")
                terminal.type(f"{code}\n")
                assert terminal.end()[0] == 0

        assert {lease.caller: lease.state for lease in leases(user)} == {"me": "fresh", "other": "fresh"}

    def test_three_wrong_codes_are_enough_and_take_nothing_away(self, user: Newcomer, sts: FakeSts):
        """A slip is no final word of upstream's: the held lease is served on."""
        with at_terminal(user, "exec", "--", "true") as terminal:
            terminal.expect("MFA code for role: ")
            terminal.type(f"{CODES[0]}\n")
            assert terminal.end()[0] == 0
        for _ in range(2):
            with at_terminal(user, "refresh", "role") as terminal:
                for _ in range(3):
                    terminal.expect("MFA code for role: ")
                    terminal.type("000000\n")
                assert terminal.end()[0] == 4

        assert user.run("get", "role").status == 0
