"""The scripted upstream: it mints in fair weather, fails in six other ways, and remembers what it really minted."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Mapping
from typing import Literal

import msgspec

from broker.errors import Denied, MintError, Throttled, Unreachable
from broker.model import AccessToken, AwsKeys, Given, Kind, Minted, Value
from broker.plan import Rendered
from tests.made import a_token, keys
from tests.simulator.world import World

DEADLINE = 30.0  # of a mint, as the pool of minters ends it
REFUSED_IN = 0.01

Kinds = Literal["fair", "refused", "silent", "throttled", "denied", "expired", "endless"]


class Weather(msgspec.Struct, frozen=True):
    """What upstream does with whoever asks; `latency` is of an answer, `patience` a Retry-After."""

    kind: Kinds = "fair"
    latency: float = 0.2
    patience: float | None = None


FAIR = Weather()


class Birth(msgspec.Struct, frozen=True):
    """One credential as upstream knows it: `ends` is the truth, `surely` all that can be known of it elsewhere."""

    key: bytes
    value: Value
    asked: float
    surely: float
    ends: float


class Asked(msgspec.Struct, frozen=True):
    """One call: when it came, by the truth and by the boot clock, for what, and in which weather."""

    truth: float
    now: float
    key: bytes
    family: str
    weather: Weather


class Cloud:
    """Mints for as long as `lifetimes` says of a credential's name; the weather may differ by family of sources."""

    def __init__(self, world: World, lifetimes: Mapping[str, float]) -> None:
        self.weather: dict[str, Weather] = {}
        self.asked: list[Asked] = []
        self.born: dict[bytes, list[Birth]] = defaultdict(list)
        self.breaches: list[str] = []
        self._world = world
        self._lifetimes = lifetimes
        self._aloft: set[bytes] = set()
        self._by_secret: dict[str, Birth] = {}
        self._numbers = itertools.count(1)

    def forget_flights(self) -> None:
        """Whoever asked is no more."""
        self._aloft.clear()

    def of(self, value: Value) -> Birth | None:
        """What is known of a credential, by its public part."""
        return self._by_secret.get(_public(value))

    async def mint(self, rendered: Rendered, given: Given) -> Minted:
        """As the rounds ask for it."""
        if rendered.key in self._aloft:
            self.breaches.append("two mints of one rendering at once")
        weather = self.weather.get(rendered.family, FAIR)
        asked = Asked(self._world.truth(), self._world.now(), rendered.key, rendered.family, weather)
        self.asked.append(asked)
        self._aloft.add(rendered.key)
        try:
            return await self._answer(rendered, given, asked)
        finally:
            self._aloft.discard(rendered.key)

    async def _answer(self, rendered: Rendered, given: Given, asked: Asked) -> Minted:
        weather = asked.weather
        if (trouble := _trouble(weather)) is not None:
            await asyncio.sleep({"silent": DEADLINE, "refused": REFUSED_IN}.get(weather.kind, weather.latency))
            raise trouble
        # It answers half way: whatever happens to the machine in the second half comes after the answer.
        await asyncio.sleep(weather.latency / 2)
        life = self._lifetimes[rendered.label]
        if weather.kind == "fair" and given.base is not None:
            life = min(life, self._base_life(given.base))
        if weather.kind != "fair":
            life = 20.0 if weather.kind == "expired" else 500 * 86_400.0
        truth = self._world.truth()
        text = f"{rendered.label}-{next(self._numbers)}"
        value: Value = keys(text) if rendered.spec.kind is Kind.AWS else a_token(text)
        birth = Birth(rendered.key, value, asked.truth, asked.truth + life, truth + life)
        self._by_secret[_public(value)] = birth
        await asyncio.sleep(weather.latency / 2)
        if weather.kind == "fair":
            self.born[rendered.key].append(birth)
        return Minted(value, birth.ends, life)

    def _base_life(self, base: Value) -> float:
        birth = self.of(base)
        if birth is None or birth.ends <= self._world.truth():
            raise Unreachable("the base identity has expired", code="ExpiredToken")
        return float("inf")


def _trouble(weather: Weather) -> MintError | None:
    match weather.kind:
        case "refused" | "silent":
            return Unreachable("no answer")
        case "throttled":
            return Throttled("patience", retry_after=weather.patience)
        case "denied":
            return Denied("not allowed", code="AccessDenied")
    return None


def _public(value: Value) -> str:
    """What tells one credential from another without opening a secret; a token has no public part but its whole."""
    if isinstance(value, AwsKeys):
        return value.access_key_id
    assert isinstance(value, AccessToken)
    return value.token.open()
