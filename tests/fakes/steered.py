"""A fake cloud in a process of its own, steered by lines on its standard input, answering a line of JSON to each.

    put BUCKET NAME SIZE    a new object of random bytes            -> {"sha256", "size"}
    sha256 BUCKET NAME      what is there now                       -> {"sha256", "size"}
    tally                   what was answered to whom, and refused  -> {"answered", "refused", "minted"}
    stop                    nothing is minted any more; stores live -> {}
    start                   what was stopped is there again         -> {}

Its end of input is its end, so that nothing survives the test that started it.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from typing import Protocol

import msgspec

from tests.fakes.objects import Buckets


class Cloud(Protocol):
    """What a process of this kind runs."""

    buckets: Buckets

    def introduction(self) -> dict[str, object]:
        """Where everything is: the first line."""

    def tally(self) -> dict[str, object]:
        """What was answered so far."""

    def stop(self) -> None:
        """The minting part ends."""

    def start(self) -> None:
        """It is there again."""


def obey(cloud: Cloud) -> None:
    """Introduce the cloud, then answer until the lines end."""
    _say(cloud.introduction())
    for line in iter(sys.stdin.readline, ""):
        word, *arguments = line.split()
        _say(_COMMANDS[word](cloud, *arguments))


def _put(cloud: Cloud, bucket: str, name: str, size: str) -> dict[str, object]:
    cloud.buckets.put(bucket, name, os.urandom(int(size)))
    return _sha256(cloud, bucket, name)


def _sha256(cloud: Cloud, bucket: str, name: str) -> dict[str, object]:
    body = cloud.buckets.get(bucket, name).body
    return {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}


def _stop(cloud: Cloud) -> dict[str, object]:
    cloud.stop()
    return {}


def _start(cloud: Cloud) -> dict[str, object]:
    cloud.start()
    return {}


def _say(members: dict[str, object]) -> None:
    print(msgspec.json.encode(members).decode(), flush=True)


_COMMANDS: dict[str, Callable[..., dict[str, object]]] = {
    "put": _put,
    "sha256": _sha256,
    "tally": lambda cloud: cloud.tally(),
    "stop": _stop,
    "start": _start,
}
