"""Keys that have no session token, rotated so that nothing is left behind and nobody's key ends early. Pure.

Each key that we create upstream says in its name whose it is and when it is over: `credbroker-HOST-CREDENTIAL-END`.
Nothing else is remembered, so that a minter may die between any two steps. Each mint first deletes what bears our mark
and is over by upstream's clock, and then creates. A key that was replaced lives on to its own end: whoever was handed
it was promised that. A refresh comes at half of the life, so that there are two or three at a time.
"""

import hashlib
import re
import socket

OWNER = "credbroker"
_END = re.compile(r"[0-9]{10}")


def mark(credential: str, host: str | None = None) -> str:
    """What the names of our keys of a credential begin with. The host is a digest: names of machines may be private."""
    digest = hashlib.sha256((host or socket.gethostname()).encode()).hexdigest()[:12]
    plain = re.sub(r"[^A-Za-z0-9]+", "-", credential)[:48].strip("-")
    return f"{OWNER}-{digest}-{plain}-"


def named(ours: str, end: float) -> str:
    """The name of a key that is over at `end`, in seconds since the epoch."""
    return f"{ours}{int(end):010}"


def is_over(name: str, ours: str, now: float) -> bool:
    """Whether a key is ours and past the end in its name. A name that does not say one is left alone for ever."""
    end = name.removeprefix(ours)
    return name.startswith(ours) and _END.fullmatch(end) is not None and int(end) <= now
