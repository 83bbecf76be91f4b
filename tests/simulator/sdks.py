"""Who asks, and when: the windows of the SDKs, as they were read in their sources."""

from collections.abc import Callable

import msgspec

MINUTE = 60.0


class Sdk(msgspec.Struct, frozen=True):
    """One family of clients. It asks again when the life left is under `window`, given the life it was handed."""

    name: str
    window: Callable[[float], float]

    def asks(self, left: float, handed: float) -> bool:
        """Whether it goes to the broker before it uses what it has."""
        return left < self.window(handed)


def under(seconds: float) -> Callable[[float], float]:
    """A fixed window."""
    return lambda _: seconds


def _java(handed: float) -> float:
    return 60 * MINUTE if handed > 120 * MINUTE else 15 * MINUTE if handed > 30 * MINUTE else 5 * MINUTE


SDKS = (
    Sdk("botocore, .NET", under(15 * MINUTE)),
    Sdk("Java v2", _java),
    Sdk("Go, CRT, JS, Ruby, object_store", under(5 * MINUTE)),
    Sdk("minio-go", lambda handed: handed / 5),
    Sdk("gcsfs, google-cloud-cpp, Node", under(300)),
    Sdk("google-auth, Go auth, Google's Java", under(225)),
    Sdk("TensorStore, TensorFlow", under(60)),
    Sdk("Rust, C++, x/oauth2", under(10)),
    Sdk("polars (Google)", under(0)),
)


class Client:
    """One process that uses credentials: what it holds, and the worst that it was handed."""

    def __init__(self, sdk: Sdk) -> None:
        self.sdk = sdk
        self.requests = self.refused = self.used_dead = 0
        self.least = float("inf")
        self._ends = self._handed = 0.0

    def needs(self, truth: float) -> bool:
        """Whether it asks before its next call to the cloud."""
        return self._ends == 0 or self.sdk.asks(self._ends - truth, self._handed)

    def got(self, truth: float, ends: float | None) -> None:
        """What it was handed, or that it was refused."""
        self.requests += 1
        if ends is None:
            self.refused += 1
            return
        self._ends, self._handed = ends, ends - truth
        self.least = min(self.least, self._handed)

    def uses(self, truth: float) -> None:
        """It signs a call with what it has."""
        self.used_dead += self._ends <= truth
