"""`credbroker whoami`: which caller, how known, what granted."""

import os

import msgspec

from broker import control_api as api
from tests.cli.newcomer import TRAIN, Newcomer
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
