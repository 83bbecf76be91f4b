"""Kernel attestation as bytes in and bytes out."""

import errno
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.callers.peer import Asked, holder, overflow_uid, request, swapped
from tests.callers.loopback import CLOSE_WAIT, ESTABLISHED, MAPPED_QUAD, V4, V6, an_answer


class TestSwapped:
    def test_the_source_is_our_peer(self) -> None:
        """The socket looked for is the client's own: from its port to ours."""
        assert swapped(("127.0.0.1", 911), ("127.0.0.1", 40000)) == V4

    def test_ipv6_endpoints_have_four_parts(self) -> None:
        """The socket module adds flow and scope."""
        assert swapped(("::1", 911, 0, 0), ("::1", 40000, 0, 0)) == V6

    def test_a_mapped_peer_is_looked_for_as_ipv4(self) -> None:
        """The kernel keeps ::ffff:127.0.0.1 among its IPv4 connections."""
        assert swapped(("::ffff:127.0.0.1", 911, 0, 0), ("::ffff:127.0.0.1", 40000, 0, 0)) == V4

    def test_the_whole_loopback_net_counts(self) -> None:
        """127/8 is this machine."""
        asked = swapped(("127.0.0.1", 911), ("127.255.0.9", 40000))

        assert asked is not None
        assert asked.quad[4:8] == bytes([127, 255, 0, 9])

    @pytest.mark.parametrize(
        ("local", "remote"),
        [
            ("127.0.0.1", "10.0.0.1"),
            ("127.0.0.1", "128.0.0.1"),
            ("::1", "fe80::1"),
            ("::1", "fe80::1%eth0"),
            ("::", "::"),
            ("::ffff:127.0.0.1", "::ffff:10.0.0.1"),
            ("::1", "::ffff:127.0.0.1"),
            ("::127.0.0.1", "::127.0.0.1"),
            ("127.0.0.1", "::1"),
            ("", ""),
            ("127.1", "127.1"),
        ],
    )
    def test_no_other_peer_is_asked_for(self, local: str, remote: str) -> None:
        """Only this machine's own connections have a uid here."""
        assert swapped((local, 911), (remote, 40000)) is None


class TestRequest:
    def test_it_is_the_message_that_linux_states(self) -> None:
        """Byte for byte: nlmsghdr, inet_diag_req_v2, and no cookie."""
        head = struct.pack("=IHHII", 72, 20, 1, 7, 0) + struct.pack("=BBBBI", socket.AF_INET, 6, 0, 0, 0xFFFFFFFF)

        assert request(V4, 7) == head + V4.quad + bytes(4) + b"\xff" * 8

    def test_it_never_asks_for_a_dump(self) -> None:
        """NLM_F_DUMP would walk every socket of the machine."""
        assert not struct.unpack_from("=H", request(V6, 1), 6)[0] & 0x300


class TestHolder:
    @pytest.mark.parametrize("asked", [V4, V6])
    @pytest.mark.parametrize("state", [ESTABLISHED, CLOSE_WAIT])
    def test_a_live_and_matching_socket_has_its_uid(self, asked: Asked, state: int) -> None:
        """Also where our side has closed its half."""
        assert holder(an_answer(asked, state=state), asked) == 1234

    def test_an_ipv6_socket_that_speaks_ipv4_answers_in_its_own_family(self) -> None:
        """Java opens IPv6 sockets for every connection."""
        assert holder(an_answer(V4, family=socket.AF_INET6, quad=MAPPED_QUAD), V4) == 1234

    def test_a_mapped_answer_does_not_answer_for_ipv6(self) -> None:
        """The families are only mixed in that one direction."""
        assert holder(an_answer(V6, quad=MAPPED_QUAD), V6) is None

    @pytest.mark.parametrize("state", sorted(set(range(14)) - {ESTABLISHED, CLOSE_WAIT}))
    def test_no_other_state_is_trusted(self, state: int) -> None:
        """A listener, a closing and a dying socket are not somebody who asks."""
        assert holder(an_answer(state=state), V4) is None

    @given(st.integers(0, 35), st.integers(1, 255))
    def test_each_byte_of_the_four_names_must_match(self, place: int, flip: int) -> None:
        """The kernel falls back to a listener on the client's port."""
        other = bytes(byte ^ flip if at == place else byte for at, byte in enumerate(V4.quad))

        assert holder(an_answer(quad=other), V4) is None

    @given(st.integers(0, 35), st.integers(1, 255))
    def test_each_byte_of_the_mapped_names_must_match(self, place: int, flip: int) -> None:
        """Likewise where an IPv6 socket answers."""
        other = bytes(byte ^ flip if at == place else byte for at, byte in enumerate(MAPPED_QUAD))

        assert holder(an_answer(family=socket.AF_INET6, quad=other), V4) is None

    def test_a_socket_without_an_inode_is_nobody(self) -> None:
        """A closed client shows uid 0 and inode 0."""
        assert holder(an_answer(uid=0, inode=0), V4) is None

    def test_another_family_is_nobody(self) -> None:
        """The same bytes mean something else there."""
        assert holder(an_answer(family=socket.AF_INET6), V4) is None

    def test_an_error_is_nobody(self) -> None:
        """NLMSG_ERROR with ENOENT: no such socket."""
        error = struct.pack("=IHHIIi", 108, 2, 0, 7, 0, -errno.ENOENT) + request(V4, 7)

        assert holder(error, V4) is None

    @pytest.mark.parametrize("kind", [0, 1, 2, 3, 4, 19, 21])
    def test_no_other_message_is_read_as_an_answer(self, kind: int) -> None:
        """Whatever stands where a uid would stand."""
        assert holder(an_answer(kind=kind), V4) is None

    @pytest.mark.parametrize("length", [0, 16, 87, 89, 0xFFFFFFFF])
    def test_a_length_that_is_not_the_message_s_own_is_refused(self, length: int) -> None:
        """Too short for the uid, or longer than what came."""
        assert holder(an_answer(length=length), V4) is None

    @pytest.mark.parametrize("size", range(88))
    def test_a_truncated_message_is_refused(self, size: int) -> None:
        """At every byte."""
        assert holder(an_answer()[:size], V4) is None

    def test_attributes_behind_the_answer_do_not_matter(self) -> None:
        """The kernel adds some, more with each version."""
        assert holder(an_answer(length=124) + bytes(36), V4) == 1234

    @given(st.binary(max_size=200))
    def test_noise_is_nobody(self, noise: bytes) -> None:
        """And never an exception."""
        assert holder(noise, V4) is None


class TestOverflowUid:
    def test_it_is_what_the_kernel_says(self) -> None:
        """An administrator may have changed it."""
        assert str(overflow_uid()) == Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii").strip()

    def test_where_proc_sys_is_hidden_it_is_the_usual_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As under ProcSubset=pid."""

        def hidden(*_: object, **__: object) -> str:
            raise FileNotFoundError

        monkeypatch.setattr(Path, "read_text", hidden)

        assert overflow_uid() == 65534
