"""What the daemon asks of minters about leases, and that each question is counted."""

import asyncio

from broker.events import Event, UpstreamAsked
from broker.minter import frames
from broker.minter.asking import Mints
from broker.model import Given
from tests.daemons import Pool
from tests.made import GENERATION, a_rendered, an_hmac


class Retiring(Pool):
    """A pool whose minters end keys."""

    async def call(self, call: frames.Call) -> frames.Brought:
        """Either question."""
        brought = await super().call(call)
        return frames.Retired() if call.do == "retire" else brought  # type: ignore[return-value]  # as a Pool may


class TestRetire:
    def test_names_and_facts_go_and_the_keys_and_it_is_counted(self):
        """No spec: the minter has its own."""
        noted: list[Event] = []
        pool = Retiring(None, noted.append)  # type: ignore[arg-type]  # nothing is started
        mints = Mints(pool, noted.append, lambda: GENERATION)  # type: ignore[arg-type]  # as good as one
        rendered = a_rendered(an_hmac(), job="0123456789ab")

        asyncio.run(mints.retire(rendered, Given(spent=("GOOG1E",))))

        (call,) = pool.called
        assert (call.do, call.ask.credential, call.ask.facts) == ("retire", "hmac", rendered.facts)
        assert call.ask.given.spent == ("GOOG1E",)
        assert noted == [UpstreamAsked("gcs-hmac", "ok")]
