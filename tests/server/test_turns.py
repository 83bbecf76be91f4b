"""One of each peer after the other."""

import asyncio
import contextlib

from broker.server.turns import Turns
from tests.leaping import FakeClock, leap


def taken(*puts: tuple[str, int]) -> list[int]:
    async def main() -> list[int]:
        turns: Turns[int] = Turns()
        for peer, number in puts:
            turns.put(peer, number)
        return [await turns.get() for _ in puts]

    return asyncio.run(main())


class TestTurns:
    def test_each_peers_own_come_in_order(self):
        """First come, first served."""
        assert taken(("a", 1), ("a", 2), ("a", 3)) == [1, 2, 3]

    def test_who_brings_much_is_overtaken_by_who_brings_little(self):
        """However many came before."""
        assert taken(("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6)) == [1, 4, 5, 2, 6, 3]

    def test_who_waits_gets_what_comes(self):
        """Several may wait; none gets what another got."""

        async def main(_: FakeClock) -> list[int]:
            turns: Turns[int] = Turns()
            asyncio.get_running_loop().call_later(1, turns.put, "a", 1)
            asyncio.get_running_loop().call_later(1, turns.put, "a", 2)
            return list(await asyncio.gather(turns.get(), turns.get()))

        assert leap(main) == [1, 2]

    def test_who_stops_waiting_takes_nothing_along(self):
        """A loop that is cancelled."""

        async def main(_: FakeClock) -> int:
            turns: Turns[int] = Turns()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await turns.get()
            turns.put("a", 1)
            return await turns.get()

        assert leap(main) == 1
