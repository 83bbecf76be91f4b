"""How many connections each plane takes. Pure."""

import msgspec

from broker.config.shape import Limits

RESERVE = 64  # descriptors kept for everything that is nobody's connection
ADMIN = 64  # connections of probes
SHARE = 4  # of so few that there is no such reserve, a worker's connections have a quarter
CONTROL_SHARE = 8  # one in so many descriptors may be a connection of the control socket; each `exec` holds one


class Bounds(msgspec.Struct, frozen=True):
    """How many connections there may be: in all, for one uid, and for one uid without having said who they are."""

    connections: int
    per_uid: int
    unidentified_per_uid: int


class Room(msgspec.Struct, frozen=True):
    """How many connections an application takes, in all and of one uid. For the uids in `always` some are kept."""

    in_all: int
    per_uid: int
    always: frozenset[int] = frozenset()


def bounds(descriptors: int, limits: Limits) -> Bounds:
    """The worker plane's limits: as configured, else what others leave of the descriptor limit, half of it a uid."""
    others = RESERVE + ADMIN + control_room(descriptors).in_all
    connections = limits.connections or max(descriptors - others, descriptors // SHARE)
    return Bounds(connections, limits.connections_per_uid or max(connections // 2, 1), limits.unidentified_per_uid)


def control_room(descriptors: int, always: frozenset[int] = frozenset()) -> Room:
    """The control socket's."""
    in_all = max(descriptors // CONTROL_SHARE, RESERVE)
    return Room(in_all, in_all // 2, always)


def admin_room() -> Room:
    """The admin address's."""
    return Room(ADMIN, ADMIN // 2)
