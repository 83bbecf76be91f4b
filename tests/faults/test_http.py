"""Faults 16 to 21 against the running program: slow, huge, many and ambiguous requests, odd paths, foreign hosts."""

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.cli.newcomer import WORLD, newcomer
from tests.fakes.sts import FakeSts
from tests.faults.stage import SOON, Answer, Broker, everything, read_answer, statuses

DEADLINE = 5.0  # seconds for a head, by the contract; it is looked at once a second
SLOW = 500
SECRET = b"SecretAccessKey"
MEGABYTE = 1 << 20


def spoken(broker: Broker, data: bytes) -> bytes:
    """All that comes back on a connection until it is closed; whoever closes early may do so while we still send."""
    with broker.connect() as end:
        with contextlib.suppress(ConnectionError):
            end.sendall(data)
        return everything(end)


def edited(broker: Broker, old: bytes, new: bytes) -> bytes:
    """A good request with one thing changed."""
    head = broker.attested(Accept="*/*")
    assert old in head
    return head.replace(old, new, 1)


@pytest.fixture
def patient() -> Iterator[Broker]:
    """A daemon that lets one uid have as many silent connections as it likes, until the deadline."""
    limits = "[daemon.limits]\nunidentified_per_uid = 5000\n"
    with FakeSts(WORLD) as sts, newcomer(sts) as user, Broker(user, sts, daemon=limits) as found:
        yield found


class TestFault16:
    """Slowloris: 500 connections, half of which send a byte now and then, half nothing."""

    def test_they_are_closed_at_the_deadline_and_everybody_else_is_served(self, patient: Broker):
        """Not before: a slow network is no attack. No healthy request waits for that."""
        drip = b"GET /aws/train HTTP/1.1\r\nX-Slow: a"
        began = time.monotonic()
        slow = [patient.connect() for _ in range(SLOW)]
        all_open = time.monotonic()
        took: list[float] = []
        for step in range(60):
            for end in slow[::2]:
                with contextlib.suppress(OSError):
                    end.send(drip[step : step + 1])
            asked = time.monotonic()
            assert patient.ask(patient.attested()).status == 200
            took.append(time.monotonic() - asked)
            if gone(slow):
                break
            time.sleep(0.2)
        lasted = time.monotonic() - began
        for end in slow:
            end.close()

        assert DEADLINE <= lasted < 2 * DEADLINE + (all_open - began)
        assert max(took) < SOON


def gone(ends: list[socket.socket]) -> bool:
    """Whether all of them were closed by the other end, without a word."""
    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        if len(selector.select(0)) < len(ends):
            return False
    return all(everything(end) == b"" for end in ends)


class TestFault17:
    """Heads over the limits, a URL of a megabyte, a body of a gigabyte."""

    @pytest.mark.parametrize(
        ("head", "status"),
        [
            (b"GET /" + b"a" * MEGABYTE, 414),
            (b"GET /aws/train?" + b"a" * 4090 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
            (b"GET /aws/train HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * MEGABYTE, 431),
            (b"GET /aws/train HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 4000, 431),
            (b"GET /aws/train HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: a\r\n" % n for n in range(100)), 431),
            (b"PUT /latest/api/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n", 413),
            (b"GET /aws/train HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n", 413),
            (b"GET /aws/train HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n", 413),
            (b"GET /aws/train HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n", 413),
        ],
    )
    def test_each_is_refused_and_closed(self, broker: Broker, head: bytes, status: int):
        """Once; nothing says 100, and nothing behind it is answered."""
        with_end = head + b"\r\n" if head.endswith(b"\n") and not head.endswith(b"\r\n\r\n") else head

        assert statuses(spoken(broker, with_end + broker.attested())) == [status]

    def test_they_take_no_memory(self, broker: Broker):
        """Two hundred at once, each as long as may be, and one body of 64 MB that is sent all the same."""
        spoken(broker, broker.head(Content_Length="1"))
        before = broker.resident()
        unfinished = broker.head(X="")[:-4] + b"a" * 15_000
        ends = [broker.connect() for _ in range(200)]
        for end in ends:
            end.sendall(unfinished)
        spoken(broker, broker.head(Content_Length=str(64 * MEGABYTE)) + bytes(64 * MEGABYTE))
        assert broker.ask(broker.attested()).status == 200
        grown = broker.resident() - before
        for end in ends:
            end.close()

        assert grown < 20 * MEGABYTE


class TestFault18:
    """10,000 pipelined requests on one connection."""

    MANY = 10_000

    def test_they_are_answered_in_order_each_by_itself(self, broker: Broker):
        """A lease, what is not granted, what is not there: never one for the other. Beyond its rate it is 503."""
        kinds = [(broker.attested(), 200), (broker.attested("/aws/his"), 403), (broker.attested("/nowhere"), 404)]
        heads = [kinds[number * 7 % 3] for number in range(self.MANY - 1)]
        data = b"".join(head for head, _ in heads) + broker.attested(Connection="close")
        with broker.connect() as end:
            sender = threading.Thread(target=end.sendall, args=[data])
            sender.start()
            answered = everything(end)
            sender.join()
        found = statuses(answered)

        assert len(found) == self.MANY
        wrong = [one for one, (_, due) in zip(found, [*heads, kinds[0]], strict=True) if one not in {due, 503}]
        assert wrong == []
        assert answered.count(SECRET) == found.count(200) > 0

    def test_behind_a_lease_that_is_not_there_yet_they_are_not_queued(self, own: Broker):
        """More than 32 are closed; the daemon keeps no list of what it cannot answer."""
        own.start()
        with own.connect() as end:
            with contextlib.suppress(ConnectionError):
                end.sendall(own.attested("/aws/mine") * self.MANY)
            found = statuses(everything(end))

        assert set(found) <= {200, 503}
        assert own.ask(own.attested()).status == 200


class TestFault19:
    """Heads that two readers could read in two ways."""

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"Accept: */*", b"Content-Length: 5\r\nTransfer-Encoding: chunked"),
            (b"Accept: */*", b"Content-Length: 0\r\nContent-Length: 0"),
            (b"Accept: */*", b"Content-Length: 0, 0"),
            (b"Accept: */*", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
            (b"Accept: */*", b"Host: localhost"),
            (b"Accept: */*", b"Authorization: attested"),
            (b"Accept: */*", b"authorization: cbw_x"),
            (b"Accept: */*", b"Accept: a\r\n folded"),
            (b"Accept: */*", b"Accept : a"),
            (b"Accept: */*", b"Accept: a\0b"),
            (b"Accept: */*", b"Accept: a\x80"),
            (b"Accept: */*", b"Accept: a\tb"),
            (b"Accept: */*\r\n", b"Accept: a\n"),
            (b"Accept: */*\r\n", b"Accept: a\r"),
            (b"Accept: */*", b"no colon"),
            (b"Accept: */*", b": no name"),
            (b" HTTP/1.1", b" HTTP/1.1 "),
            (b" HTTP/1.1", b""),
            (b" HTTP/1.1", b" HTTP/1.1\r\n"),
            (b" HTTP/1.1", b" HTTP/2.0"),
            (b"GET ", b"\r\nGET "),
            (b"GET ", b"GET  "),
            (b"/aws/train", b"http://127.0.0.1/aws/train"),
        ],
    )
    def test_it_is_400_and_the_end(self, broker: Broker, old: bytes, new: bytes):
        """What comes behind it is nobody's request."""
        answer = spoken(broker, edited(broker, old, new) + broker.attested(Connection="close"))

        assert statuses(answer) == [400]
        assert SECRET not in answer


class TestFault20:
    """Paths that are nearly right, and methods that are not GET."""

    @pytest.mark.parametrize(
        "path",
        [
            *("//aws/train", "/aws//train", "/aws/hers/../train", "/aws/./train", "/aws/..", "/aws/%2e%2e/aws/train"),
            *("/aws/trai%6e", "/aws/train%00", "/aws/train%2f", "/aws/%c0%ae%c0%ae/aws/train", "/aws/train;a=b"),
            *("/aws/train/", "/aws/train/x", "/aws/TRAIN", "/AWS/train", "/aws/train.json", "/aws/train#x", "/aws/"),
            *("/aws\\train", "/aws/*", "/aws/train,mine", "/env", "/env/", "/token/", "/w", "/w/", "/w/cbp_", "/-"),
            *("/healthz", "/metrics", "/status", "/readyz", "/tokens", "/latest/meta-data/", "/computeMetadata"),
        ],
    )
    def test_a_path_matches_exactly_or_not_at_all(self, broker: Broker, path: str):
        """Never another credential, and never the control plane."""
        answer = broker.ask(broker.attested(path, Connection="close"))

        assert answer.status in {400, 401, 403, 404}
        assert SECRET not in answer.body

    @pytest.mark.parametrize(
        "method", ["HEAD", "OPTIONS", "TRACE", "POST", "PUT", "DELETE", "PATCH", "PROPFIND", "get", "GETX", "CONNECT"]
    )
    def test_no_other_method_is_answered(self, broker: Broker, method: str):
        """TRACE would show the token to a script; CONNECT would make us a proxy."""
        head = broker.head(method=method, Authorization=broker.token())
        answer = spoken(broker, head + broker.attested(Connection="close"))

        assert statuses(answer) == [405]
        assert SECRET not in answer
        assert b"cbw_" not in answer

    def test_a_reply_to_head_has_no_body(self, broker: Broker):
        """A client would take it for the next reply."""
        said = spoken(broker, broker.head(method="HEAD", Authorization="attested"))

        assert said.endswith(b"\r\n\r\n")

    @pytest.mark.parametrize("target", [b"*", b"127.0.0.1:80", b"http://169.254.169.254/latest/", b"evil.example:443"])
    @pytest.mark.parametrize("method", [b"OPTIONS", b"CONNECT", b"GET"])
    def test_a_target_that_is_no_path_goes_nowhere(self, broker: Broker, method: bytes, target: bytes):
        """We fetch nothing for anybody."""
        head = edited(broker, b"GET /aws/train", method + b" " + target)

        assert set(statuses(spoken(broker, head))) <= {400, 405}


class TestFault21:
    """DNS rebinding: a page's own name leads to 127.0.0.1, and the browser sends that name."""

    @pytest.mark.parametrize(
        "host",
        [
            *("evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "localhost."),
            *("me@127.0.0.1", "127.0.0.1@evil.example", "127.0.0.1:1", "127.0.0.1:{port}:{port}", "127.0.0.1:{port}x"),
            *("[::1]", "[::1]:{port}", "[::ffff:127.0.0.1]:{port}", "::1", "0.0.0.0:{port}", "127.1", "2130706433"),
            *("0x7f.1", "017700000001", "127.0.0.2", "127.0.0.1 evil.example", "127.0.0.1,evil.example", "[]", ","),
        ],
    )
    def test_a_foreign_name_is_refused_whoever_asks(self, broker: Broker, host: str):
        """Before identity is looked at, and it is not repeated."""
        answer = broker.ask(broker.attested(host=host.format(port=broker.port)))

        assert answer.status == 403
        assert b"evil" not in answer.body

    @pytest.mark.parametrize("line", [b"", b"Host:\r\n", b"Host: localhost\r\nHost: localhost\r\n"])
    def test_one_that_is_absent_or_doubled_too(self, broker: Broker, line: bytes):
        """There is no default host."""
        head = edited(broker, f"Host: {broker.address}\r\n".encode(), line)
        found = answer_to(broker, head)

        assert found.status == (403 if line == b"Host:\r\n" else 400)

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:{port}", "localhost", "localhost:{port}"])
    def test_the_address_itself_is_served(self, broker: Broker, host: str):
        """Otherwise the refusals would show nothing."""
        assert broker.ask(broker.attested(host=host.format(port=broker.port))).status == 200


def answer_to(broker: Broker, head: bytes) -> Answer:
    """The reply to these bytes."""
    with broker.connect() as end:
        end.sendall(head)
        answer = read_answer(end)
    assert answer is not None
    return answer
