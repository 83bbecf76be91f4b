"""What is known of a connection to the worker plane before it has said anything. Pure."""

import msgspec

from broker.config.shape import POD_HOSTS

Peer = int | str | None  # whose a connection is, for limits


class Link(msgspec.Struct, eq=False):
    """Where a connection was accepted, the kernel's word on who opened it, its peer's address, and if it is known."""

    accepted_on: tuple[str, int]
    uid: int | None
    identified: bool = False
    peer: str | None = None

    @property
    def for_pods(self) -> bool:
        """Whether it was accepted where Kubernetes callers alone are served."""
        return self.accepted_on[0] in POD_HOSTS

    @property
    def is_ours(self) -> bool:
        """Whether it is taken at all: on loopback from loopback, and from anywhere on the addresses for pods."""
        return self.for_pods or (_is_loopback(self.accepted_on[0]) and _is_loopback(self.peer or ""))

    @property
    def pod_peer(self) -> str | None:
        """The address of the pod at the other end; on loopback all addresses are one and say nothing."""
        return self.peer if self.for_pods else None

    @property
    def counted_as(self) -> Peer:
        """Whose it is for limits: the uid's, or the pod's by its address."""
        return self.peer if self.for_pods else self.uid


def _is_loopback(host: str) -> bool:
    return host.startswith(("127.", "::ffff:127.")) or host == "::1"
