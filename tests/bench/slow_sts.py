"""The strict fake STS in a process of its own, with an answer that takes its time.

    python -m tests.bench.slow_sts

prints one line of JSON with its address, a user's keys and a role; to each line on its input it answers one:

    latency SECONDS     how long every answer takes from now on     -> {}
    calls               how many calls have arrived                 -> {"calls"}
"""

import json
import sys

import msgspec

from tests.fakes.sts import FakeSts, Fault


class SlowSts(FakeSts):
    """It checks as ever, then waits."""

    latency = 0.0

    def answer(self, headers: dict[str, str], body: bytes, path: str) -> Fault:
        """The strict fake's answer, `latency` seconds later."""
        return msgspec.structs.replace(super().answer(headers, body, path), wait=self.latency)


def main() -> None:
    """Serve until the end of standard input."""
    with SlowSts() as sts:
        user = sts.world.users[0]
        _say({"sts": sts.url, "user": [user.access_key_id, user.secret], "role": sts.world.roles[0].arn})
        for line in sys.stdin:
            match line.split():
                case ["latency", seconds]:
                    sts.latency = float(seconds)
                    _say({})
                case _:
                    _say({"calls": len(sts.calls)})


def _say(members: dict[str, object]) -> None:
    print(json.dumps(members), flush=True)


if __name__ == "__main__":
    main()
