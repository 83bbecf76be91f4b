"""A refresh that is killed at each step: the file holds the old token or the new one, whole."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.sources.alipan_world import Kept

# Ends itself by SIGKILL at the given step of writing; prints how many there are if it gets through them all.
DYING = """
import os, signal, sys
from broker.model import Reference
from broker.sources.alipan_refresh import refresh
path, url, last = sys.argv[1], sys.argv[2], int(sys.argv[3])
steps = 0
def dying(call):
    def step(*arguments, **named):
        global steps
        for when in ("before", "after"):
            steps += 1
            if steps == last:
                os.kill(os.getpid(), signal.SIGKILL)
            if when == "before":
                answer = call(*arguments, **named)
        return answer
    return step
for name in ("fsync", "rename", "ftruncate", "pwrite"):
    setattr(os, name, dying(getattr(os, name)))
refresh(Reference(file=path), url)
print(steps)
"""


class TestKilled:
    def test_at_each_step_of_writing_the_file_is_whole(self, kept: Kept):
        """The old token or the new one. Where old ones stay good, whoever comes next goes on from either."""
        lost = []
        for step in range(1, 100):
            before = kept.token
            ran = self.dying(kept, step)
            if ran.returncode == 0:
                assert step - 1 == int(ran.stdout)
                break
            assert ran.returncode == -signal.SIGKILL, ran.stderr
            if kept.token not in kept.fake.refresh_tokens:
                lost.append(step)
                assert kept.token == before
                kept.fake.refresh_tokens.add(kept.token)  # its owner logs in
            kept.refresh()
            assert kept.token in kept.fake.refresh_tokens
            assert sorted(path.name for path in kept.path.parent.iterdir()) == ["token", "token.refreshed"]
            kept.record.unlink()  # time passes
        else:
            pytest.fail("it never got through")

        # Between Alipan's answer and the rename nothing can help where tokens end by their use: nobody else knows it.
        assert bool(lost) is kept.fake.once
        assert step > 15

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_amid_the_question_the_old_token_stands(self, kept: Kept, when: str):
        """The answer never arrives, although Alipan may have done it."""
        process: list[subprocess.Popen[str]] = []
        started = threading.Event()

        def strike(step: str) -> None:
            if step == when:
                started.wait(10)
                process[0].kill()

        kept.fake.steps = strike
        process.append(subprocess.Popen(self.command(kept, 0), text=True, env=self.environment()))
        started.set()
        assert process[0].wait(30) == -signal.SIGKILL
        kept.fake.steps = lambda _: None

        assert kept.token == "first"
        assert kept.record.read_text() == ""

    def dying(self, kept: Kept, step: int) -> "subprocess.CompletedProcess[str]":
        """One that dies there."""
        command = self.command(kept, step)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, env=self.environment())

    @staticmethod
    def command(kept: Kept, step: int) -> list[str]:
        """It, as a command."""
        return [sys.executable, "-c", DYING, str(kept.path), kept.fake.url, str(step)]

    @staticmethod
    def environment() -> dict[str, str]:
        """Where it finds the broker, however the tests were started."""
        return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
