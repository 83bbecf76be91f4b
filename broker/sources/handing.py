"""What cannot be short-lived, handed on as a lease: its expiry is invented, and it is read anew well before.

Upstream states no expiry for it, which is the one case where one is invented. It is far enough for every client, and
near enough that each asks again within the hour and finds what has been rotated meanwhile.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from broker import clock
from broker.model import Facts, Minted, Value

INVENTED = 3600.0  # seconds
REREAD = 300
NOTE = "not short-lived: it is good for as long as its owner lets it be"
Reread = Annotated[
    int,
    Meta(
        ge=5,
        le=1800,
        extra={"unit": "seconds"},
        description="how often the references are read anew; `credbroker refresh NAME` does it at once",
    ),
]


def handed(value: Value, facts: Facts, reread: float) -> Minted:
    """A lease of what has just been read."""
    facts = msgspec.structs.replace(facts, note=NOTE)
    return Minted(value, expires_at=clock.wall() + INVENTED, lifetime=INVENTED, facts=facts, again=reread)
