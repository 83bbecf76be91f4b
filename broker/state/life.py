"""How much life a sealed lease has left, told by the clocks of now. Pure; in doubt it is held back.

Within one start of the machine the boot clock tells, and the wall clock may only shorten it: neither is believed alone,
since a wall clock may be stepped, and a container may have a boot clock of its own. After a reboot the wall clock is
all there is. It is believed only if the kernel vouches for it: a machine that goes on where its clock had stopped would
bring the dead back to life.
"""

import hashlib
from pathlib import Path

import msgspec

from broker import clock
from broker.model import Lease
from broker.schedule import SERVE_FLOOR
from broker.state.sealed import Content, Label, Unbelieved

STEADY = 5.0  # further apart, and the beginnings of two unnamed boots are two
UNSURE = "clock"  # the code of what is worth another look, after another start
EXPIRED = "expired"  # the code of what is nobody's fault


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Now, by both clocks, and on which machine. `boot` and `host` are empty where they are not known."""

    now: float
    wall: float
    boot: str
    host: str
    synchronised: bool  # whether the kernel vouches for the wall clock

    @property
    def booted(self) -> float:
        """When this boot began, by the wall clock."""
        return self.wall - self.now


def revived(label: Label, content: Content, moment: Moment) -> Lease:
    """The lease with its life on this boot's clock. Raises Unbelieved."""
    lease = content.lease
    if same_boot(label, moment):
        return _of_this_boot(content, moment)
    if not label.host or label.host != moment.host:
        raise Unbelieved("it was sealed on another machine", code="other-host")
    if not moment.synchronised or moment.wall < content.sealed_at:
        raise Unbelieved("the machine was started since, and its clock may be wrong", code=UNSURE)
    ends = moment.now + _alive(min(content.ends_at, lease.expires_at) - moment.wall)
    return msgspec.structs.replace(lease, began=ends - (lease.ends - lease.began), ends=ends)


def same_boot(label: Label, moment: Moment) -> bool:
    """Whether the boot clock that it was sealed by is ours.

    Without a name, by when it began: upstream mints nothing for a clock that is far wrong, so one that starts at the
    same hour each time has sealed nothing by it.
    """
    if label.boot and moment.boot:
        return label.boot == moment.boot
    return abs(label.booted - moment.booted) < STEADY


def _of_this_boot(content: Content, moment: Moment) -> Lease:
    lease = content.lease
    if moment.now < lease.began:
        raise Unbelieved("the boot clock stands before it was minted", code=UNSURE)
    left = _alive(lease.ends - moment.now)
    if content.ends_at - moment.wall <= SERVE_FLOOR:
        raise Unbelieved("the wall clock was stepped, and says that it has expired", code=UNSURE)
    return msgspec.structs.replace(lease, ends=moment.now + min(left, content.ends_at - moment.wall))


def _alive(left: float) -> float:
    if left <= SERVE_FLOOR:
        raise Unbelieved("it has expired", code=EXPIRED)
    return left


def host() -> str:
    """A name of this machine that tells others nothing; empty where it has none, as in many containers."""
    try:
        known = Path("/etc/machine-id").read_bytes().strip()
    except OSError:
        return ""
    return hashlib.sha256(b"credbroker state " + known).hexdigest()[:32] if known else ""


def here(now: float, wall: float) -> Moment:
    """The moment, as this machine tells it."""
    return Moment(now=now, wall=wall, boot=clock.boot(), host=host(), synchronised=clock.synchronised())
