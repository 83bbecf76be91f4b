"""Loopback connections whose makers are known, and the kernel's answers about them as bytes."""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from typing import Self

from broker.callers.peer import Asked, Endpoint

OTHER_UID = 1
LISTEN, ESTABLISHED, CLOSE_WAIT = 10, 1, 8  # include/net/tcp_states.h
V4 = Asked(socket.AF_INET, struct.pack("!HH4s12x4s12x", 40000, 911, bytes([127, 0, 0, 1]), bytes([127, 0, 0, 1])))
V6 = Asked(socket.AF_INET6, struct.pack("!HH16s16s", 40000, 911, bytes(15) + b"\x01", bytes(15) + b"\x01"))
MAPPED_QUAD = struct.pack(
    "!HH12s4s12s4s",
    40000,
    911,
    bytes(10) + b"\xff\xff",
    bytes([127, 0, 0, 1]),
    bytes(10) + b"\xff\xff",
    b"\x7f\0\0\x01",
)


def an_answer(
    asked: Asked = V4,
    *,
    family: int | None = None,
    state: int = ESTABLISHED,
    quad: bytes | None = None,
    uid: int = 1234,
    inode: int = 99,
    kind: int = 20,
    length: int = 88,
    sequence: int = 7,
) -> bytes:
    """An answer of the kernel, by the headers of Linux: nlmsghdr and inet_diag_msg."""
    head = struct.pack("=IHHII", length, kind, 0, sequence, 0)
    first = struct.pack("=BBBB", asked.family if family is None else family, state, 0, 0)
    return head + first + (quad or asked.quad) + bytes(12) + struct.pack("=IIIII", 0, 0, 0, uid, inode)


class Connection:
    """A loopback connection: its two sockets, and its names as the daemon sees them."""

    def __init__(self, host: str = "127.0.0.1", *, listen_on: str | None = None, uid: int | None = None) -> None:
        listen_on = listen_on or host
        self.listener = socket.create_server(
            (listen_on, 0), family=family_of(listen_on), dualstack_ipv6=listen_on == "::"
        )
        with made_by(uid):
            self.client = socket.socket(family_of(host))
        # A port of its own, which a listener may take besides: the traps of the tests need that.
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.client.bind((host, 0))
        self.client.connect((host, self.listener.getsockname()[1]))
        self.accepted, self.peer = self.listener.accept()
        self.local: Endpoint = self.accepted.getsockname()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self.client, self.accepted, self.listener):
            end.close()


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@contextlib.contextmanager
def made_by(uid: int | None) -> Iterator[None]:
    """What is made inside belongs to that uid, as the kernel notes who made a socket."""
    own = os.geteuid()
    if uid is not None:
        os.seteuid(uid)
    try:
        yield
    finally:
        if uid is not None:
            os.seteuid(own)
