"""The attestor over a made-up netlink socket, and why it may have to stay off."""

import errno
import os
import socket
import struct
import sys

import pytest

from broker.callers import peer
from broker.callers.peer import Attestor
from tests.callers.loopback import an_answer


class FakeNetlink:
    """A netlink socket with prepared answers; an answer may be an error, or fit any sequence number (None)."""

    def __init__(self, *answers: bytes | OSError | None, refuses: OSError | None = None) -> None:
        self.answers = list(answers)
        self.refuses = refuses
        self.sequences: list[int] = []

    def send(self, message: bytes) -> int:
        if self.refuses is not None:
            raise self.refuses
        self.sequences.append(struct.unpack_from("=I", message, 8)[0])
        return len(message)

    def recv(self, _most: int) -> bytes:
        if not self.answers:
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return an_answer(sequence=self.sequences[-1]) if answer is None else answer

    def close(self) -> None:
        """Nothing to close."""


def asking(monkeypatch: pytest.MonkeyPatch, netlink: FakeNetlink, times: int = 1) -> int | None:
    """What the last of some look-ups of V4 gives over that socket."""
    attestor = Attestor()
    monkeypatch.setattr(attestor, "_netlink", netlink)
    uid = None
    for _ in range(times):
        uid = attestor.uid_of(("127.0.0.1", 911), ("127.0.0.1", 40000))
    return uid


class TestAttestor:
    def test_the_answer_to_this_very_look_up_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sequence numbers tell it from others."""
        assert asking(monkeypatch, FakeNetlink(None)) == 1234

    def test_stale_answers_are_passed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """They belong to a look-up that was interrupted, and to another client."""
        stale = an_answer(sequence=900, uid=4242)

        assert asking(monkeypatch, FakeNetlink(stale, b"", stale, None)) == 1234

    def test_stale_answers_alone_are_doubt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody gets the uid of another look-up."""
        assert asking(monkeypatch, FakeNetlink(an_answer(sequence=900))) is None

    def test_an_endless_row_of_stale_answers_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The loop of the daemon is not held by it."""
        netlink = FakeNetlink(*[an_answer(sequence=900)] * 50)

        assert asking(monkeypatch, netlink) is None
        assert len(netlink.answers) > 30

    @pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOBUFS, errno.EINTR, errno.EBADF])
    def test_an_error_while_reading_is_doubt(self, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        """The answer was lost."""
        assert asking(monkeypatch, FakeNetlink(OSError(code, "made up"))) is None

    def test_an_error_while_asking_is_doubt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing was asked, so nothing may be read."""
        netlink = FakeNetlink(None, refuses=OSError(errno.ECONNREFUSED, "made up"))

        assert asking(monkeypatch, netlink) is None
        assert netlink.answers == [None]

    def test_a_lost_answer_does_not_spoil_the_next_look_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One doubt is one doubt."""
        assert asking(monkeypatch, FakeNetlink(OSError(errno.ENOBUFS, "made up"), None), times=2) == 1234

    def test_every_look_up_has_its_own_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Never 0, which the kernel uses itself."""
        netlink = FakeNetlink(None, None, None)
        asking(monkeypatch, netlink, times=3)

        assert netlink.sequences == [1, 2, 3]

    def test_the_numbers_begin_anew_after_32_bits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A daemon that lives for years must not trip over it."""
        attestor, netlink = Attestor(), FakeNetlink(None, None)
        monkeypatch.setattr(attestor, "_netlink", netlink)
        monkeypatch.setattr(attestor, "_sequence", 0xFFFFFFFE)
        for _ in range(2):
            attestor.uid_of(("127.0.0.1", 911), ("127.0.0.1", 40000))

        assert netlink.sequences == [0xFFFFFFFF, 1]

    def test_the_overflow_uid_is_doubt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It stands for everybody whom a user namespace does not know."""
        netlink = FakeNetlink(an_answer(sequence=1, uid=65534))

        assert asking(monkeypatch, netlink) is None

    def test_before_it_is_started_everything_is_doubt(self) -> None:
        """And the self-check says so."""
        attestor = Attestor()

        assert attestor.uid_of(("127.0.0.1", 1), ("127.0.0.1", 2)) is None
        assert attestor.self_check() == "attestation was not started"
        assert not attestor.on


class TestStart:
    def test_it_works_on_this_machine(self) -> None:
        """By a connection to ourselves."""
        attestor = Attestor()

        assert attestor.start() is None
        assert attestor.on
        attestor.close()
        assert not attestor.on

    def test_another_uid_than_ours_switches_it_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever runs this test, the kernel knows better than a made-up geteuid."""
        monkeypatch.setattr(os, "geteuid", lambda: 424242)
        attestor = Attestor()

        assert "where the daemon's own is 424242" in (attestor.start() or "")
        assert not attestor.on

    def test_no_answer_switches_it_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As where tcp_diag is missing."""
        monkeypatch.setattr(peer, "holder", lambda _answer, _asked: None)
        attestor = Attestor()

        assert "tcp_diag" in (attestor.start() or "")
        assert not attestor.on

    def test_the_account_of_unknown_users_cannot_attest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A daemon run as nobody could not tell itself from strangers."""
        monkeypatch.setattr(peer, "overflow_uid", os.geteuid)

        assert "an account of its own" in (Attestor().start() or "")

    def test_a_machine_that_cannot_reach_itself_cannot_attest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Loopback is down in a bare network namespace."""

        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")

        monkeypatch.setattr(socket, "create_connection", refuse)

        assert "Network is unreachable" in (Attestor().start() or "")

    def test_a_sandbox_without_netlink_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Systemd's RestrictAddressFamilies= answers EAFNOSUPPORT."""

        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

        monkeypatch.setattr(socket, "socket", refuse)
        attestor = Attestor()

        assert "AF_NETLINK" in (attestor.start() or "")
        assert attestor.uid_of(("127.0.0.1", 1), ("127.0.0.1", 2)) is None

    def test_another_system_than_linux_has_worker_tokens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """All but attestation also works on macOS."""
        monkeypatch.setattr(sys, "platform", "darwin")

        assert "worker token" in (Attestor().start() or "")
