"""The pool of minters, with real ones: questions, answers, deadlines, and what a minter is started with."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.errors import Denied, MintError, Throttled, Unreachable
from broker.events import Event, MinterLost
from broker.minter.frames import Brought, Call, Found
from broker.model import AccessToken, Given
from broker.secret import Secret
from tests.minter import toys
from tests.minter.pools import LAUNCH, Play, alive, ends, played, until


@pytest.mark.usefixtures("both_ways")
class TestCall:
    def test_an_answer_comes_and_the_minter_is_used_again(self):
        """Loading an SDK is what takes long."""

        async def main(play: Play) -> tuple[list[str], int]:
            texts = [await play.mint(), await play.mint("one")]
            first = play.pids
            texts.append(await play.mint())
            assert play.pids == first
            return texts, len(first)

        assert played(main) == (["plain"] * 3, 1)

    def test_who_a_fresh_mint_is_can_be_asked(self):
        """For `check`."""

        async def main(play: Play) -> object:
            return await play.pool.call(Call(do="who", ask=toys.ask(play.launch)))

        who = played(main)

        assert isinstance(who, Brought)
        assert who.facts is not None
        assert (who.facts.email, who.minted.skew) == ("plain@example", 0.5)

    def test_a_secret_crosses_whole_both_ways(self):
        """Long, and in whatever letters."""
        text = "äöü€𝄞" * 20_000

        async def main(play: Play) -> str:
            given = Given(base=AccessToken(Secret(text)), mfa_code=Secret("123456"))
            return await play.mint("chained", given)

        assert played(main) == text + "123456"

    def test_an_error_of_a_source_is_raised_as_it_was(self):
        """And costs no minter."""

        async def main(play: Play) -> tuple[list[tuple[type, str, float | None]], int, int]:
            errors = [await play.error(name) for name in ("deny", "throttle", "bug")]
            return [(type(one), one.code, one.retry_after) for one in errors], len(play.pids), len(play.noted)

        errors, minters, noted = played(main)

        assert errors == [
            (Denied, "AccessDenied", None),
            (Throttled, "SlowDown", 7.5),
            (Unreachable, "Unreachable", None),
        ]
        assert (minters, noted) == (1, 0)

    def test_no_more_than_the_size_run_at_once(self):
        """The others wait for one that is free."""

        async def main(play: Play) -> int:
            await asyncio.gather(*(play.mint() for _ in range(10)))
            return len(play.pids)

        assert played(main, size=2) == 2

    @pytest.mark.parametrize("change", [{"generation": "0" * 64}, {"credential": "nothing"}])
    def test_what_does_not_fit_the_configuration_is_refused(self, change: dict[str, str]):
        """By the minter: a compromised daemon cannot invent what to mint."""

        async def main(play: Play) -> MintError:
            ask = msgspec.structs.replace(toys.ask(play.launch), **change)
            with pytest.raises(Unreachable) as caught:
                await play.pool.call(Call(do="mint", ask=ask))
            return caught.value

        assert "configur" in played(main).advice


@pytest.mark.usefixtures("both_ways")
class TestDeadline:
    def test_it_ends_exactly_one_mint(self):
        """The neighbour's goes on, and the next is answered."""

        async def main(play: Play) -> tuple[MintError, bool, str]:
            await asyncio.gather(play.mint(), play.mint())
            before = set(play.pids)
            play.pool._deadline = 0.5  # not for their start, which may take long on a busy machine
            hung = asyncio.get_running_loop().create_task(play.error("hang"))
            await asyncio.sleep(0.1)
            neighbours = [await play.mint() for _ in range(3)]
            error = await hung
            (left,) = play.pids
            assert left in before
            assert not any(alive(pid) for pid in before - {left})
            assert play.noted == [MinterLost("deadline")]
            return error, alive(left), neighbours[-1]

        error, lives, text = played(main)

        assert isinstance(error, Unreachable)
        assert error.code == "Deadline"
        assert (lives, text) == (True, "plain")

    def test_what_the_source_started_ends_with_it(self, tmp_path: Path):
        """A credential_process that hangs, for one."""
        path = tmp_path / "pid"
        launch = toys.launch(hang=f'does = "hang_with_child"\ntext = "{path}"')

        async def main(play: Play) -> int:
            hung = asyncio.get_running_loop().create_task(play.mint("hang"))
            await until(lambda: path.exists() and path.read_text() != "")
            hung.cancel()
            await asyncio.gather(hung, return_exceptions=True)
            return int(path.read_text())

        assert ends(played(main, launch))

    def test_who_stops_waiting_ends_his_own(self):
        """The daemon is stopping: nothing may hold it up."""

        async def main(play: Play) -> tuple[int, list[Event]]:
            hung = asyncio.get_running_loop().create_task(play.mint("hang"))
            await play.mint()
            hung.cancel()
            await asyncio.gather(hung, return_exceptions=True)
            return len(play.pids), play.noted

        assert played(main) == (1, [])


class TestLaunch:
    def test_what_zero_configuration_has_is_asked_of_a_child(self):
        """Several questions at once, as at its start."""

        async def main(play: Play) -> list[object]:
            return list(await play.pool.calls([Call(do="find", ask=toys.ask(LAUNCH))] * 2))

        assert played(main) == [Found("plain")] * 2

    def test_a_minter_has_the_environment_that_was_given_and_no_other(self, monkeypatch: pytest.MonkeyPatch):
        """Nor descriptors, nor SDKs that nobody asked for; it is a session of its own and cannot be dumped."""
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the daemon")
        launch = toys.launch({"AWS_PROFILE": "prod"}, who='does = "introspect"')

        async def main(play: Play) -> dict[str, Any]:
            found = json.loads(await play.mint("who"))
            assert isinstance(found, dict)
            return found

        with Path(os.devnull).open() as kept:
            os.set_inheritable(kept.fileno(), True)
            found = played(main, launch)

        assert found.pop("environment") == launch.environment
        assert found == {"dumpable": 0, "umask": 0o077, "session": True, "descriptors": 5, "sdks": []}

    def test_another_configuration_means_other_minters(self):
        """Those at rest end at once, the one at work when it is done; it is asked no more."""
        other = toys.launch(one='text = "new"', slow='does = "hang"')

        async def main(play: Play) -> tuple[bool, MintError, str]:
            await play.mint()
            (old,) = play.pids
            late = asyncio.get_running_loop().create_task(play.mint())
            await asyncio.sleep(0)
            play.pool.relaunch(other)
            assert await late == "plain"
            gone = not alive(old)
            mismatch = await play.error("one")
            play.launch = other
            return gone, mismatch, await play.mint()

        gone, mismatch, text = played(main)

        assert gone
        assert "another configuration" in mismatch.advice
        assert text == "new"
