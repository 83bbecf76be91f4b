"""A virtual clock that knows the truth: what the machine's two clocks show, and what time it really is."""

from tests.leaping import EPOCH, FakeClock


class World(FakeClock):
    """Besides suspends and steps it has pauses: a hypervisor's, which only the wall clock makes up for."""

    def __init__(self) -> None:
        super().__init__()
        self._stood_still = 0.0

    def truth(self) -> float:
        """Seconds since the epoch, as upstream's clock shows them."""
        return EPOCH + self.monotonic() + self._slept + self._stood_still

    def stand_still(self, seconds: float) -> None:
        """Nothing of this machine moves; after it its wall clock is set right."""
        self._stood_still += seconds
        self.step(seconds)
