"""How many connections the worker plane takes. Pure."""

import msgspec

from broker.config.shape import Limits

RESERVE = 64  # descriptors kept for everything that is not a worker's connection
SHARE = 4  # of so few that there is no such reserve, a worker's connections have a quarter


class Bounds(msgspec.Struct, frozen=True):
    """How many connections there may be: in all, for one uid, and for one uid without having said who they are."""

    connections: int
    per_uid: int
    unidentified_per_uid: int


def bounds(descriptors: int, limits: Limits) -> Bounds:
    """The limits in force: what the configuration says, else the descriptor limit less a reserve, half of it a uid."""
    connections = limits.connections or max(descriptors - RESERVE, descriptors // SHARE)
    return Bounds(connections, limits.connections_per_uid or max(connections // 2, 1), limits.unidentified_per_uid)
