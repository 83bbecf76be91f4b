"""`credbroker whoami`: which caller, how known, what granted."""

import os
import re

import msgspec

from broker import control_api as api
from tests.cli.newcomer import CREDBROKER, ONE_ROLE, TRAIN, Newcomer, Ran
from tests.fakes.sts import FakeSts


class TestCommand:
    def test_it_says_who_one_is_and_what_one_may_have(self, stage: Newcomer):
        """DEFAULT is what SDKs get that cannot name one."""
        ran = stage.run("whoami")
        rows = [line.split() for line in ran.out.splitlines()]

        assert ran.out.startswith(f"uid {os.getuid()} ")
        assert ["train", "aws", "yes", "eu-west-1", "-"] in rows
        assert ["closed", "aws", "no", "-", "-"] in rows

    def test_json_has_the_same(self, stage: Newcomer):
        """For programs."""
        who = msgspec.json.decode(stage.run("whoami", "--json").out, type=api.Who)

        assert (who.uid, who.callers, who.operator) == (os.getuid(), ("me",), True)

    def test_nobody_is_4(self, user: Newcomer, sts: FakeSts):
        """Scripts test for it; people read it."""
        user.configure(f"""
            [credentials.train]
            source = "aws-assume-role"
            role_arn = "{TRAIN}"
            endpoint_url = "{sts.url}"
            [callers.other]
            uid = 4711
            grants = ["train"]
            """)
        with user.serving():
            ran = user.run("whoami")
            lease = user.run("get", "train")

        assert (ran.status, "nobody: no caller in the configuration matches you" in ran.out) == (4, True)
        assert (lease.status, "train: no caller in the configuration matches uid" in lease.err) == (4, True)


def within(user: Newcomer, *arguments: str, exec_options: tuple[str, ...] = ()) -> Ran:
    """`whoami` as a worker under `exec`."""
    return user.run("exec", *exec_options, "--", *CREDBROKER, "whoami", *arguments)


class TestWorker:
    def test_it_answers_by_what_the_worker_shows(self, stage: Newcomer):
        """Not by who runs it: that is `me`."""
        ran = within(stage, exec_options=("--as", "batch"))

        assert ran.status == 0
        assert re.match(rf"this worker, run by uid {os.getuid()} \([a-z0-9_-]+\), is batch\n", ran.out)
        assert re.search(
            r"known by worker token [0-9a-f]{12} \(header\), bound to this uid, until its command ends", ran.out
        )

    def test_what_it_may_have_is_what_its_token_is_narrowed_to(self, stage: Newcomer):
        """`--use`, and which one is the first of its kind."""
        who = msgspec.json.decode(within(stage, "--json", exec_options=("--use", "closed,data")).out, type=api.Who)

        assert [(one.name, one.kind, one.first) for one in who.granted] == [
            ("closed", "aws", True),
            ("data", "gcp", True),
        ]
        assert who.token is not None
        assert (who.callers, who.token.caller, who.token.token) == (("me",), "me", None)

    def test_a_broker_of_the_command_alone_knows_its_worker_too(self, user: Newcomer, sts: FakeSts):
        """No other daemon can answer for it."""
        user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url))
        ran = within(user)

        assert (ran.status, "is me\nknown by worker token" in ran.out) == (0, True)

    def test_a_token_that_is_over_is_not_made_up_for_by_the_user(self, stage: Newcomer):
        """What is shown decides alone, as on the worker plane; --socket asks as the user."""
        script = f"""eval "$({" ".join(CREDBROKER)} env)"
            folder="$(dirname "$CREDBROKER_WORKER_TOKEN_FILE")"
            {" ".join(CREDBROKER)} token revoke "${{folder##*-}}"
            {" ".join(CREDBROKER)} whoami; echo $?; {" ".join(CREDBROKER)} whoami --socket {stage.socket}"""
        ran = stage.shell(["sh", "-c", script])

        assert "the token of this worker is over" in ran.err
        assert re.match(rf"4\nuid {os.getuid()} ", ran.out)

    def test_without_its_daemon_s_socket_it_says_what_to_do(self, stage: Newcomer):
        """As in a container; it is exit status 3."""
        ran = stage.run("exec", "--", "env", "CREDBROKER_WORKER_SOCKET=/nonexistent", *CREDBROKER, "whoami")

        assert ran.status == 3
        assert "no daemon answers at /nonexistent" in ran.err or "/nonexistent: No such file" in ran.err
        assert "this process is a worker of the broker at http://127.0.0.1:" in ran.err

    def test_the_token_is_in_no_argument_and_no_message(self, stage: Newcomer):
        """Its digest asks."""
        ran = within(stage, "--json")

        assert "cbw_" not in ran.out + ran.err
