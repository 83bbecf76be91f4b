"""A client's chain of providers as a table of steps, and which of them wins. Pure."""

from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from broker.doctor.facts import Facts

OK, SHADOWED, NONE = "ok", "SHADOWED", "none"

FIREWALL = "load the firewall rules of deploy/nftables/credbroker.nft"
WRAP = "start it by `credbroker exec`, or eval `credbroker env` before it"


class Found(msgspec.Struct, frozen=True):
    """Why a provider of a chain has something to give, and what to do about it; `broker` where it is our lease."""

    why: str
    remedy: str = WRAP
    broker: bool = False


Finds = Callable[[Facts], Found | None]


class Step(msgspec.Struct, frozen=True):
    """One provider as its client names it, and what it finds."""

    provider: str
    finds: Finds


Chain = tuple[Step, ...]


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """Which provider of a client wins, and what that means."""

    provider: str | None
    why: str
    verdict: str
    remedy: str | None


def winner(chain: Chain, facts: Facts) -> Prediction:
    """The first step that finds anything."""
    for step in chain:
        found = step.finds(facts)
        if found is not None:
            verdict, remedy = (OK, None) if found.broker else (SHADOWED, found.remedy)
            return Prediction(provider=step.provider, why=found.why, verdict=verdict, remedy=remedy)
    return Prediction(provider=None, why="nothing in its chain finds anything", verdict=NONE, remedy=WRAP)


def variable(*names: str, remedy: str | None = None) -> Finds:
    """Finds something where every one of these variables is set."""

    def finds(facts: Facts) -> Found | None:
        if not all(facts.value(name) for name in names):
            return None
        return Found(f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} set", remedy or unset(*names))

    return finds


def unset(*names: str) -> str:
    """The remedy against variables."""
    return f"unset {' '.join(names)}"


def authority(url: str) -> str:
    """HOST:PORT of a URL, or of what stands for a host in Google's variables; a path in it is not shown."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "a malformed address"
    host = parts.hostname or ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
