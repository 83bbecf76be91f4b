"""Which uid holds the other end of a loopback connection, by the kernel's own word (NETLINK_SOCK_DIAG).

One exact look-up a connection, on a netlink socket that stays open; never a dump. The kernel answers within send(), so
nothing here waits. Whatever is in doubt is None: no peer is ever given a uid that is not its own.
"""

import os
import socket
import struct
import sys
from pathlib import Path

import msgspec

# What getsockname() and getpeername() give; IPv6 adds flow and scope.
Endpoint = tuple[str, int] | tuple[str, int, int, int]

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20  # also the type of a good answer; NLMSG_ERROR, such as ENOENT, is 2
_NLM_F_REQUEST = 1
_ESTABLISHED, _CLOSE_WAIT = 1, 8  # include/net/tcp_states.h

# struct nlmsghdr and the head of struct inet_diag_req_v2: host order, as all of netlink.
_ASK = struct.Struct("=IHHII BBBxI")
# The rest is struct inet_diag_sockid, in network order: the two ports and addresses, an interface and a cookie.
_QUAD = struct.Struct("!HH16s16s")
_ANY_INTERFACE_NO_COOKIE = bytes(4) + b"\xff" * 8
_ASK_LENGTH = _ASK.size + _QUAD.size + len(_ANY_INTERFACE_NO_COOKIE)

# An answer: struct nlmsghdr, then struct inet_diag_msg: family, state, timers, the sockid, queues, uid, inode.
_HEAD = struct.Struct("=IHHII BB")
_QUAD_AT = 20
_QUAD_END = _QUAD_AT + _QUAD.size
_OWNER = struct.Struct("=II")
_OWNER_AT = 80
_SHORTEST = _OWNER_AT + _OWNER.size
_SEQUENCE = struct.Struct("=I")
_SEQUENCE_AT = 8
_LONGEST = 2048  # an answer to a request without extensions is about 100 bytes

_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96
_IPV6_LOOPBACK = bytes(15) + b"\x01"
_LOOPBACK_NET = 127
_MOST_STALE = 16  # answers to look-ups that were interrupted before they were read


class Asked(msgspec.Struct, frozen=True):
    """The socket asked for: its family, and its source and destination as the kernel writes them (36 bytes)."""

    family: int
    quad: bytes


def swapped(local: Endpoint, peer: Endpoint) -> Asked | None:
    """The client's own socket, whose source is our peer; None if the peer is not of this machine.

    An IPv4 peer of a dual-stack listener (::ffff:127.0.0.1) is looked for as IPv4, where the kernel keeps both kinds.
    """
    try:
        if ":" in peer[0]:
            source, target = socket.inet_pton(socket.AF_INET6, peer[0]), socket.inet_pton(socket.AF_INET6, local[0])
            if source == _IPV6_LOOPBACK:
                return Asked(socket.AF_INET6, _QUAD.pack(peer[1], local[1], source, target))
            if source[:12] != _MAPPED or target[:12] != _MAPPED:
                return None
            source, target = source[12:], target[12:]
        else:
            source, target = socket.inet_pton(socket.AF_INET, peer[0]), socket.inet_pton(socket.AF_INET, local[0])
    except OSError:  # a scope, as in fe80::1%eth0, or two families
        return None
    if source[0] != _LOOPBACK_NET:
        return None
    return Asked(socket.AF_INET, _QUAD.pack(peer[1], local[1], source, target))


def request(asked: Asked, sequence: int) -> bytes:
    """The look-up as one netlink message. The mask of states does not bind an exact look-up: the answer is checked."""
    head = (_ASK_LENGTH, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, sequence, 0)
    ask = _ASK.pack(*head, asked.family, socket.IPPROTO_TCP, 0, 0xFFFF_FFFF)
    return ask + asked.quad + _ANY_INTERFACE_NO_COOKIE


def holder(answer: bytes, asked: Asked) -> int | None:
    """The uid of the very socket that was asked for, alive and held by a process; None for any other answer.

    The kernel falls back to any listener on the client's port, hence the four fields; a closed client shows inode 0,
    and uid 0 or its maker's by the kernel's version, hence the inode.
    """
    if len(answer) < _SHORTEST:
        return None
    length, kind, _flags, _sequence, _port, family, state = _HEAD.unpack_from(answer)
    if kind != _SOCK_DIAG_BY_FAMILY or not _SHORTEST <= length <= len(answer):
        return None
    if state not in {_ESTABLISHED, _CLOSE_WAIT} or not _same(family, answer[_QUAD_AT:_QUAD_END], asked):
        return None
    uid, inode = _OWNER.unpack_from(answer, _OWNER_AT)
    return uid if inode else None


def _same(family: int, quad: bytes, asked: Asked) -> bool:
    if family == asked.family:
        return quad == asked.quad
    # Java and others connect to IPv4 from IPv6 sockets, which answer in their own family.
    mapped = asked.quad[:4] + _MAPPED + asked.quad[4:8] + _MAPPED + asked.quad[20:24]
    return family == socket.AF_INET6 and asked.family == socket.AF_INET and quad == mapped


def overflow_uid() -> int:
    """The uid that stands for every uid a user namespace does not know; 65534 where /proc/sys is hidden."""
    try:
        return int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 65534


class Attestor:
    """Asks the kernel who holds the other end of a loopback connection. Belongs to one thread."""

    __slots__ = ("_netlink", "_overflow", "_sequence", "_why_off")

    def __init__(self) -> None:
        self._netlink: socket.socket | None = None
        self._overflow = 65534
        self._sequence = 0
        self._why_off = "attestation was not started"

    @property
    def on(self) -> bool:
        """Whether a None of `uid_of` for a loopback peer means doubt, rather than that nobody was asked."""
        return self._netlink is not None

    def start(self) -> str | None:
        """Switch attestation on: None if it works, else it stays off, `uid_of` is always None, and this is why."""
        self._open()
        return self.self_check()

    def close(self) -> None:
        """Switch attestation off."""
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None
            self._why_off = "attestation was closed"

    def uid_of(self, local: Endpoint, peer: Endpoint) -> int | None:
        """The uid that made the socket at `peer`, connected to ours at `local`; None in any doubt. Never raises."""
        asked = swapped(local, peer)
        if asked is None:
            return None
        uid = holder(self._answer(asked), asked)
        return None if uid == self._overflow else uid

    def _answer(self, asked: Asked) -> bytes:
        """The kernel's answer to this very look-up, or nothing."""
        if self._netlink is None:
            return b""
        self._sequence = sequence = self._sequence % 0xFFFF_FFFF + 1
        try:
            self._netlink.send(request(asked, sequence))
            for _ in range(_MOST_STALE):
                answer = self._netlink.recv(_LONGEST)
                if answer[_SEQUENCE_AT:12] == _SEQUENCE.pack(sequence):
                    return answer
        except OSError:  # EAGAIN: no answer; ENOBUFS: an answer was lost
            pass
        return b""

    def _open(self) -> None:
        if sys.platform != "linux":
            self._why_off = "only Linux tells the uid of a loopback connection: workers here need a worker token"
            return
        try:
            self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
            self._netlink.connect((0, 0))  # from now on nobody but the kernel can put an answer into it
            self._netlink.settimeout(0)
            self._overflow = overflow_uid()
        except OSError as error:
            self.close()
            self._why_off = (
                f"the kernel's socket look-up cannot be opened ({error.strerror}): "
                "a sandbox must allow AF_NETLINK (RestrictAddressFamilies= in a systemd unit)"
            )

    def self_check(self) -> str | None:
        """Connect to ourselves and compare: None if attestation works, else it is switched off, and this is why."""
        why = self._doubt()
        if why is not None:
            self.close()
        return why

    def _doubt(self) -> str | None:
        if self._netlink is None:
            return self._why_off
        try:
            # Never accepted: the look-up needs the client's two names alone, and no stranger can get in between.
            with (
                socket.create_server(("127.0.0.1", 0)) as listener,
                socket.create_connection(listener.getsockname(), timeout=1) as client,
            ):
                uid = self.uid_of(client.getpeername(), client.getsockname())
        except OSError as error:
            return f"the daemon cannot connect to itself on 127.0.0.1 ({error.strerror or 'timed out'})"
        own = os.geteuid()
        if uid == own:
            return None
        if own == self._overflow:
            return f"the daemon runs as uid {own}, which stands for all unknown users: give it an account of its own"
        if uid is None:
            return "the kernel does not tell our own uid: load the module tcp_diag, or leave this user namespace"
        return f"the kernel says uid {uid} where the daemon's own is {own}: a user namespace, most likely"
