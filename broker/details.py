"""Events of what goes on all the time, as frozen values: only a log at debug level tells of them."""

import msgspec


class MintBegun(msgspec.Struct, frozen=True):
    """A mint is asked of a minter, for the caller that was first to ask for the lease; `with_code`: an MFA code."""

    credential: str
    caller: str
    with_code: bool


class SocketAnswered(msgspec.Struct, frozen=True):
    """The control socket has answered; `status` is None where the asker hung up before.

    `path` is that of the route, not as it was asked for. `took` is in seconds: as long as the command where it holds
    its tokens.
    """

    method: str
    path: str
    status: int | None
    uid: int | None
    took: float
    credential: str | None = None


class TurnedAway(msgspec.Struct, frozen=True):
    """There was no room for connections to `where`, "socket" or "admin", `count` of them within a second."""

    where: str
    uid: int | None  # whose the first of them was
    count: int
