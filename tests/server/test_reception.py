"""From a parsed request to a reply: synchronous, counted, and every refusal noted."""

import pytest

from broker.errors import NotReady, Refused
from broker.events import LeaseHanded, RequestDenied
from broker.rounds import Flight
from broker.server.directory import LookUp
from broker.server.link import Link
from broker.server.reception import Late, Reception
from broker.waiting import Landing
from broker.wire import Reply
from tests.server.plane import ALICE, BOB, STRANGER, Work, at_work, until

HERE = ("127.0.0.1", 911)


def a_link(uid: int | None = ALICE) -> Link:
    """A connection accepted on the port of the tests."""
    return Link(HERE, uid)


def answered(work: Work, head: bytes, link: Link) -> Reply | Late | Landing:
    """What the reception says to a head."""
    return work.reception.answer(work.reception.read(head), link)


def status(work: Work, head: bytes, link: Link) -> int:
    """Of a reply that was there at once."""
    reply = answered(work, head, link)
    assert isinstance(reply, Reply)
    return reply.status


def head(path: str, authorization: str | None = "attested", host: str = "localhost") -> bytes:
    """A request head."""
    shown = "" if authorization is None else f"Authorization: {authorization}\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{shown}\r\n".encode()


class TestAnswer:
    def test_it_gives_what_must_land_first_and_then_the_reply(self):
        """A look-up, a mint, bytes; whoever waits asks the same again."""

        async def main(work: Work) -> list[type]:
            found = []
            while not isinstance(answer := answered(work, head("/aws/train"), a_link()), Reply):
                found.append(type(answer))
                landing = answer
                await until(lambda landing=landing: landing.landed)  # type: ignore[misc]
            return [*found, type(answer)]

        assert at_work(main) == [LookUp, Flight, Reply]

    def test_a_held_lease_is_handed_out_at_once(self):
        """No task, no wait; and what is left of its life is counted."""

        async def main(work: Work) -> tuple[int, float]:
            await work.warm()
            work.clock.pass_time(600.0)
            before = work.metrics.remaining.total
            return status(work, head("/aws/train"), a_link()), work.metrics.remaining.total - before

        assert at_work(main) == (200, 3000.0)

    def test_who_first_received_a_lease_is_noted_once(self):
        """By token and uid, with the dialect: the audit asks for no more."""

        async def main(work: Work) -> list[tuple[str, int | None, str]]:
            await work.warm()
            for _ in range(3):
                for text in ("attested", token := work.token("pods")):
                    assert status(work, head("/aws/train", text), a_link()) == 200
                    assert status(work, head("/env/train", token), a_link()) == 200
            return [(event.how, event.uid, event.dialect) for event in work.noted(LeaseHanded)]

        noted = at_work(main)

        assert noted[0] == ("uid", ALICE, "aws")
        assert len(noted) == 1 + 3

    def test_the_same_bytes_are_judged_anew_where_they_were_sent_to(self):
        """A Host that was right on one address is foreign on another."""

        async def main(work: Work) -> list[int]:
            one = head("/", None, "127.0.0.1:911")
            return [status(work, one, Link((host, 911), None)) for host in ("127.0.0.1", "127.0.0.2", "127.0.0.1")]

        assert at_work(main) == [200, 403, 200]

    def test_the_same_bytes_are_judged_anew_for_each_connection(self):
        """Nothing that was found out about one is said of another."""

        async def main(work: Work) -> list[int]:
            await work.warm("/token/data")
            work.uid = BOB
            await work.warm("/token/data")
            one = head("/token/data", None)
            return [status(work, one, a_link(uid)) for uid in (ALICE, BOB, None, BOB, ALICE)]

        assert at_work(main) == [401, 200, 401, 200, 401]


class TestIdentified:
    @pytest.mark.parametrize(
        ("path", "authorization", "host", "known"),
        [
            ("/computeMetadata/v1/", "attested", "localhost", True),
            ("/nothing", "attested", "localhost", True),
            ("/aws/hidden", "attested", "localhost", True),
            ("/", None, "localhost", False),
            ("/aws/train", None, "localhost", False),
            ("/aws/train", "cbw_", "localhost", False),
            ("/aws/train", "attested", "evil.example", False),
        ],
    )
    def test_a_connection_is_known_once_a_request_said_who_it_is(
        self, path: str, authorization: str | None, host: str, known: bool
    ):
        """The silent ones count against a limit of their own; being refused something else is not being unknown."""

        async def main(work: Work) -> bool:
            await work.directory.account_soon(ALICE)
            link = a_link()
            answered(work, head(path, authorization, host), link)
            return link.identified

        assert at_work(main) == known


class TestLate:
    def test_it_is_a_503_that_is_no_denial(self):
        """Nothing for the audit; the counter tells."""

        async def main(work: Work) -> tuple[Reply, list[RequestDenied], int]:
            reply = work.reception.late(work.reception.read(head("/aws/train")), a_link())
            return reply, work.noted(RequestDenied), work.metrics.requests["aws", 503]

        reply, denied, counted = at_work(main)

        assert (reply.status, reply.headers) == (503, (("Retry-After", "1"),))
        assert (denied, counted) == ([], 1)


class TestRefuse:
    def test_a_denial_is_noted_with_the_id_that_its_caller_was_told(self):
        """With our reason, which the caller is not told."""

        async def main(work: Work) -> tuple[Reply, list[RequestDenied]]:
            error = Refused(403, "AccessDenied", "not granted", reason="not-granted")
            return work.reception.refuse(error, None, a_link(BOB)), work.noted(RequestDenied)

        reply, (denied,) = at_work(main)

        assert (denied.reason, denied.status, denied.uid) == ("not-granted", 403, BOB)
        assert denied.request_id.encode() in reply.body
        assert b"not-granted" not in reply.body

    def test_what_is_not_ready_is_counted_and_not_noted(self):
        """It is nobody's fault."""

        async def main(work: Work) -> tuple[int, list[RequestDenied]]:
            return work.reception.refuse(NotReady("later"), None, a_link()).status, work.noted(RequestDenied)

        assert at_work(main) == (503, [])

    def test_no_label_is_of_a_caller_s_choosing(self):
        """Whatever is asked for, the series stay few and hold no path."""

        async def main(work: Work) -> set[str]:
            await work.warm()
            await work.warm("/token/data")
            for path in (
                "/",
                "/aws/train",
                "/aws/canary",
                "/canary",
                "/canary/x",
                "/w/canary",
                "/token/data",
                "/env/y",
            ):
                for text in ("attested", "canary", None):
                    status(work, head(path, text), a_link())
            return {label for label, _ in work.metrics.requests}

        assert at_work(main) == {"aws", "gcp", "token", "env", "none"}


class TestBinding:
    @pytest.mark.parametrize(("attesting", "expected"), [(True, 401), (False, 200)])
    def test_without_attestation_a_bound_token_is_taken_at_its_word(self, attesting: bool, expected: int):
        """As on macOS, where the kernel tells nobody's uid; where it was asked, its doubt counts against the token."""

        async def main(work: Work) -> int:
            reception = Reception(
                desk=work.desk,
                tokens=work.tokens,
                directory=work.directory,
                metrics=work.metrics,
                note=work.events.append,
                clock=work.clock,
                attesting=attesting,
            )
            await work.warm()
            reply = reception.answer(reception.read(head("/aws/train", work.token(uid=ALICE))), a_link(None))
            assert isinstance(reply, Reply)
            return reply.status

        assert at_work(main) == expected


class TestRead:
    def test_heads_are_forgotten_at_each_sweep(self):
        """They hold tokens: none stays in memory longer than it is used."""

        async def main(work: Work) -> list[bool]:
            one = head("/aws/train", work.token())
            first = work.reception.read(one)
            again = work.reception.read(one) is first
            work.plane.sweep()
            return [again, work.reception.read(one) is first]

        assert at_work(main) == [True, False]

    def test_a_malformed_head_is_refused_each_time(self):
        """There is nothing to remember of it."""

        async def main(work: Work) -> None:
            for _ in range(2):
                with pytest.raises(Refused, match="malformed"):
                    work.reception.read(b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n")

        at_work(main)

    def test_so_many_and_so_long_heads_are_remembered(self):
        """A caller that varies his fields costs time and no memory."""

        async def main(work: Work) -> list[bool]:
            long = head(f"/aws/train?{'a' * 3000}")
            for number in range(2000):
                work.reception.read(head(f"/aws/x{number}"))
            late = head("/aws/late")
            return [work.reception.read(one) is work.reception.read(one) for one in (head("/aws/x0"), long, late)]

        assert at_work(main) == [True, False, False]


class TestDesk:
    def test_who_is_nobody_here_is_not_the_desk_s_business(self):
        """401 comes before the desk is asked anything."""

        async def main(work: Work) -> tuple[int, list[str]]:
            await work.directory.account_soon(STRANGER)
            return status(work, head("/aws/train"), a_link(STRANGER)), work.upstream.asked

        assert at_work(main) == (401, [])


class TestNamed:
    @pytest.mark.parametrize(
        ("path", "shown", "told"),
        [
            ("/aws/hidden", "attested", ("not-granted", "trainer", "hidden")),
            ("/aws/nowhere", "attested", ("not-granted", "trainer", None)),
            ("/token", "cbw_x", ("authorization-not-ours", None, None)),
            ("/env/train", "cbw_x", ("authorization-not-ours", None, "train")),
            ("/nowhere/train", "attested", ("NotFound", "trainer", None)),
            ("/computeMetadata/v1/instance/x", "attested", ("MetadataFlavorMissing", "trainer", None)),
        ],
    )
    def test_a_denial_names_the_caller_and_the_credential_where_there_are_such(
        self, path: str, shown: str, told: tuple[str, str | None, str | None]
    ):
        """Whoever asks, for whatever: a name that is no credential's is text of his, and is not written."""

        async def main(work: Work) -> tuple[str, str | None, str | None]:
            await work.warm()
            status(work, head(path, shown), a_link())
            (event,) = work.noted(RequestDenied)
            return event.reason, event.caller, event.credential

        assert at_work(main) == told

    def test_a_token_that_another_uid_shows_is_named(self):
        """By its id and its caller's name, so that it can be revoked."""

        async def main(work: Work) -> tuple[str, str | None, bool]:
            status(work, head("/aws/train", work.token("pods", uid=BOB)), a_link(ALICE))
            (event,) = work.noted(RequestDenied)
            return event.reason, event.caller, event.token_id == work.tokens.list()[0].id

        assert at_work(main) == ("token-of-another-uid", "pods", True)
