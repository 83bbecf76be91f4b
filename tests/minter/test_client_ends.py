"""How minters end: crashed, killed, talking nonsense, with the daemon, or after a while without work."""

import asyncio
import os
import resource
import sys

import pytest

from broker.errors import MintError, Unreachable
from broker.events import Event, MinterLost
from broker.minter import frames
from broker.minter.frames import Call
from tests.minter import toys
from tests.minter.pools import LAUNCH, Play, alive, ends, played, until


async def left(play: Play) -> None:
    """Until the minter at rest is there no more."""
    await until(lambda: not play.pool._resting[0].waits)


class TestDeath:
    @pytest.mark.usefixtures("both_ways")
    @pytest.mark.parametrize("credential", ["die", "leave", "huge", "swell"])
    def test_one_that_dies_is_counted_and_replaced(self, credential: str):
        """A crash, an exit, an answer that no frame can hold, no memory: that one mint is tried again later."""

        async def main(play: Play) -> tuple[MintError, str, list[Event]]:
            return await play.error(credential), await play.mint(), play.noted

        error, text, noted = played(main)

        assert isinstance(error, Unreachable)
        assert (error.code, text, noted) == ("MinterLost", "plain", [MinterLost("died")])

    @pytest.mark.usefixtures("both_ways")
    def test_one_that_was_killed_while_it_rested_costs_nobody_anything(self):
        """The kernel was short of memory; the next question goes to another, and the loss is counted."""

        async def main(play: Play) -> tuple[str, list[Event]]:
            await play.mint()
            os.kill(play.pids[0], 9)
            await left(play)
            return await play.mint(), play.noted

        assert played(main) == ("plain", [MinterLost("at rest")])

    @pytest.mark.usefixtures("both_ways")
    def test_one_that_has_grown_large_answers_and_leaves(self):
        """What an SDK leaks ends with it, and costs no mint."""

        async def main(play: Play) -> tuple[str, str, list[Event]]:
            text = await play.mint("grow")
            await left(play)
            return text, await play.mint(), play.noted

        assert played(main) == ("large", "plain", [MinterLost("at rest")])

    def test_one_that_floods_is_ended_before_it_is_read(self):
        """A lease has a few KiB: nobody waits for the rest, nor has room for it."""
        launch = toys.launch(one="", flood='does = "flood"')

        async def main(play: Play) -> tuple[str, int, str]:
            await play.mint()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            code = (await play.error("flood")).code
            return code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, await play.mint()

        code, grown, text = played(main, launch)

        assert (code, grown < 4096, text) == ("MinterLost", True, "plain")

    @pytest.mark.parametrize(
        "said",
        [
            frames.wrap(b"\xc1"),
            frames.wrap(b"\x82\xa4type\xa5found\xa8identity\xa2\xff\xfe"),
            b"\xff\xff\xff\xff",
            frames.pack(Call(do="mint", ask=toys.ask(LAUNCH))),
        ],
        ids=["no message", "no text", "too long", "a question"],
    )
    def test_one_that_talks_nonsense_is_ended(self, said: bytes):
        """It could be half of another answer: nothing after it is believed either."""
        launch = toys.launch(one="", odd=f'does = "say_hex"\ntext = "{said.hex()}"')

        async def main(play: Play) -> tuple[MintError, str, int]:
            return await play.error("odd"), await play.mint(), len(play.pids)

        error, text, minters = played(main, launch)

        assert (error.code, text, minters) == ("MinterLost", "plain", 1)

    def test_none_that_can_be_started_is_an_error_of_ours(self, monkeypatch: pytest.MonkeyPatch):
        """No process, memory or descriptor left: it is tried again later, and nothing is leaked."""
        monkeypatch.setattr(sys, "executable", "/nonexistent/python")

        async def main(play: Play) -> tuple[MintError, int]:
            for _ in range(5):
                await play.error("one")  # more often than there are places
            return await play.error("one"), len(play.pids)

        error, minters = played(main, size=2)

        assert isinstance(error, Unreachable)
        assert minters == 0

    def test_they_die_with_the_daemon(self):
        """Killed, it can end nobody: the kernel does."""
        code = (
            "import asyncio, os\n"
            "from tests.minter.pools import Play\n"
            "async def main():\n"
            "    play = Play()\n"
            "    await play.mint()\n"
            "    print(play.pids[0], flush=True)\n"
            "    os.kill(os.getpid(), 9)\n"
            "asyncio.run(main())\n"
        )

        async def main() -> int:
            daemon = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, cwd=toys.HERE.parent.parent
            )
            output, _ = await daemon.communicate()
            return int(output)

        assert ends(asyncio.run(main()))


@pytest.mark.usefixtures("both_ways")
class TestIdle:
    def test_it_ends_after_its_time_and_another_starts(self):
        """Forty megabytes for nothing."""

        async def main(play: Play) -> tuple[bool, str]:
            await play.mint()
            (pid,) = play.pids
            await asyncio.sleep(0.3)
            assert play.pids == ()
            return alive(pid), await play.mint()

        assert played(main, idle=0.1) == (False, "plain")

    def test_one_that_is_asked_does_not_idle(self):
        """Its time starts anew with each answer, and stops while it works."""

        async def main(play: Play) -> tuple[str, int]:
            await play.mint()
            play.pool._deadline = 0.4
            error = await play.error("hang")
            return error.code, len(play.noted)

        assert played(main, idle=0.1) == ("Deadline", 1)
