"""Every refusal of the contract with real bytes on the wire, in its order."""

import itertools

import pytest

from tests.server.plane import Answer, Work, at_work

# In the order of the contract; what several of them are true of is refused for the first.
FAULTS = {
    "malformed": 400,
    "long URL": 414,
    "many fields": 431,
    "body": 413,
    "method": 405,
    "foreign host": 403,
    "forwarded": 403,
    "nobody": 401,
    "no such path": 404,
    "not granted": 403,
}
CODES = {"foreign host": "ForeignHost", "forwarded": "Forwarded", "not granted": "AccessDenied"}
PATHS = {"no such path": "/nothing", "not granted": "/aws/hidden"}
PAIRS = [pair for pair in itertools.combinations(FAULTS, 2) if pair != ("no such path", "not granted")]


def faulty(work: Work, *faults: str) -> bytes:
    """A request with just these faults."""
    target = next((path for fault, path in PATHS.items() if fault in faults), "/aws/train")
    fields = {
        "Host": "evil.example" if "foreign host" in faults else f"127.0.0.1:{work.port}",
        "Authorization": "cbw_" if "nobody" in faults else work.token(),
    }
    if "forwarded" in faults:
        fields["X-Forwarded-For"] = "10.0.0.1"
    if "body" in faults:
        fields["Content-Length"] = "5"
    if "many fields" in faults:
        fields |= {f"X-{number}": "" for number in range(100)}
    if "long URL" in faults:
        target += "?" + "a" * 4096
    lines = "".join(f"{name}: {text}\r\n" for name, text in fields.items())
    return (
        f"{'POST' if 'method' in faults else 'GET'} {target} HTTP/1.1\r\n"
        f"{lines}{'No-Colon' if 'malformed' in faults else 'Accept: */*'}\r\n\r\n"
    ).encode()


class TestOrder:
    def test_without_a_fault_there_is_a_lease(self):
        """So that each refusal below has its one cause."""

        async def main(work: Work) -> int:
            return (await work.ask(faulty(work))).status

        assert at_work(main) == 200

    def test_each_fault_has_its_status(self):
        """And a code for programs."""

        async def main(work: Work) -> dict[str, Answer]:
            return {fault: await work.ask(faulty(work, fault)) for fault in FAULTS}

        answers = at_work(main)

        assert {fault: answer.status for fault, answer in answers.items()} == FAULTS
        for fault, code in CODES.items():
            assert code in answers[fault].body.decode()

    def test_of_two_faults_the_first_in_the_contract_is_told(self):
        """Who is not identified learns nothing of paths, and who is not local nothing of identities."""

        async def main(work: Work) -> dict[tuple[str, str], int]:
            return {pair: (await work.ask(faulty(work, *pair))).status for pair in PAIRS}

        assert at_work(main) == {pair: FAULTS[pair[0]] for pair in PAIRS}

    def test_what_cannot_be_parsed_ends_its_connection_and_what_may_not_be_had_does_not(self):
        """An SDK that is refused one credential asks for the next on the same connection."""

        async def main(work: Work) -> dict[str, bool]:
            kept = {}
            for fault in FAULTS:
                wire = await work.connect()
                await wire.send(faulty(work, fault))
                answer = await wire.answer()
                kept[fault] = await wire.quiet()
                assert ("connection" in answer.fields) != kept[fault]
                wire.close()
            return kept

        kept = at_work(main)

        assert [fault for fault in FAULTS if kept[fault]] == [*FAULTS][5:]


class TestGrants:
    def test_not_granted_and_not_existing_look_the_same(self):
        """A caller learns no names: neither from words nor from lengths."""

        async def main(work: Work) -> list[Answer]:
            paths = ("/aws/hidden", "/aws/nosuch", "/aws/data", "/env/hidden", "/env/nosuch")
            return [await work.ask(work.attested(path)) for path in paths]

        answers = at_work(main)

        assert {answer.status for answer in answers} == {403}
        for alike in (answers[:3], answers[3:]):
            assert len({len(answer.body) for answer in alike}) == 1
            assert len({answer.body.partition(b"(request ")[0] for answer in alike}) == 1

    def test_two_refusals_differ_in_their_request_id_alone(self):
        """By which the operator finds the audit line."""

        async def main(work: Work) -> list[Answer]:
            return [await work.ask(work.attested("/token/hidden")) for _ in range(2)]

        one, other = (answer.json for answer in at_work(main))

        assert one.pop("request") != other.pop("request")
        assert one.keys() == other.keys() == {"error", "message"}


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            *("//aws/train", "/aws//train", "/aws/../aws/train", "/./aws/train", "/%61ws/train", "/aws/trai%6e"),
            *("/aws/%2e%2e/aws/train", "/aws/train%00", "/aws/train;x", "/aws/%c0%af", "/AWS/train", "/Aws/train"),
            *("/aws/train/", "/aws/train/x", "/aws/", "/env", "/env/", "/token/data/x", "/latest/meta-data/", "/w"),
        ],
    )
    def test_a_path_is_matched_exactly_or_not_at_all(self, path: str):
        """Never another credential by another spelling."""

        async def main(work: Work) -> int:
            return (await work.ask(work.attested(path))).status

        assert at_work(main) == (401 if path == "/w" else 404)

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "CONNECT", "get"])
    def test_only_get_is_answered(self, method: str):
        """No preflight, no form, no method in lower case."""

        async def main(work: Work) -> Answer:
            return await work.ask(work.attested("/aws/train").replace(b"GET", method.encode(), 1))

        answer = at_work(main)

        assert (answer.status, answer.fields["allow"]) == (405, "GET")
        assert not [name for name in answer.fields if name.startswith("access-control")]

    def test_head_is_told_so_without_a_body(self):
        """Its sender would take one for the next reply."""

        async def main(work: Work) -> bytes:
            wire = await work.connect()
            await wire.send(work.attested("/aws/train").replace(b"GET", b"HEAD", 1))
            said = await wire.rest()
            wire.close()
            return said

        said = at_work(main)

        assert (said[:12], said[-4:]) == (b"HTTP/1.1 405", b"\r\n\r\n")

    def test_the_put_of_a_worker_token_is_identified_before_it_is_denied(self):
        """Only the token of a pod is swapped."""

        async def main(work: Work) -> list[int]:
            heads = [work.attested("/worker-token"), work.request("/worker-token")]
            return [(await work.ask(head.replace(b"GET", b"PUT", 1))).status for head in heads]

        assert at_work(main) == [403, 401]


class TestOrigin:
    @pytest.mark.parametrize(
        ("host", "status"),
        [
            *((host, 200) for host in ("127.0.0.1", "127.0.0.1:{port}", "localhost", "localhost:{port}", "LocalHost")),
            *((host, 403) for host in ("evil.example", "127.0.0.1:1", "127.0.0.2", "[::1]", "[::1]:{port}", "")),
            *((host, 403) for host in ("me@127.0.0.1", "127.0.0.1:{port}:{port}", "localhost.", "0.0.0.0", "127.1")),
        ],
    )
    def test_host_is_the_address_that_was_connected_to(self, host: str, status: int):
        """A rebound name is somebody else's page in the user's browser."""

        async def main(work: Work) -> int:
            return (await work.ask(work.request("/", Host=host.format(port=work.port)))).status

        assert at_work(main) == status

    @pytest.mark.parametrize(
        "head",
        [
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\nHost: localhost\n\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: local\0host\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +0\r\n\r\n",
            b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ],
    )
    def test_what_two_readers_could_read_in_two_ways_is_400_and_the_end(self, head: bytes):
        """Whatever comes behind it is not answered."""

        async def main(work: Work) -> tuple[int, bytes]:
            wire = await work.connect()
            await wire.send(head + work.request("/"))
            status = (await wire.answer()).status
            rest = await wire.rest()
            wire.close()
            return status, rest

        assert at_work(main) == (400, b"")

    @pytest.mark.parametrize(
        "name",
        [
            *("X-Forwarded-For", "X-Forwarded-Host", "X-Original-Forwarded-For", "Forwarded", "Via", "X-Real-IP"),
            *("Origin", "Referer", "Sec-Fetch-Mode", "Sec-Fetch-Site", "SEC-FETCH-DEST"),
        ],
    )
    def test_browsers_and_forwarders_get_nothing_whatever_they_show(self, name: str):
        """Not even the page without a secret."""

        async def main(work: Work) -> list[int]:
            shown = {name: "x", "Authorization": work.token()}
            return [(await work.ask(work.request(path, **shown))).status for path in ("/", "/aws/train", "/nothing")]

        assert at_work(main) == [403, 403, 403]

    def test_a_body_of_a_gigabyte_is_not_read(self):
        """It is refused by its announcement, with `Expect` or without."""

        async def main(work: Work) -> list[tuple[int, bytes]]:
            found = []
            for more in ({}, {"Expect": "100-continue"}):
                wire = await work.connect()
                await wire.send(work.request("/", Content_Length=str(1 << 30), **more) + bytes(4096))
                status = (await wire.answer()).status
                found.append((status, await wire.rest()))
                wire.close()
            return found

        assert at_work(main) == [(413, b"")] * 2

    @pytest.mark.parametrize(("sent", "status"), [(b"X-Long: " + b"a" * 20_000, 431), (b"a" * 20_000, 431)])
    def test_a_head_without_an_end_is_refused_when_it_is_too_long(self, sent: bytes, status: int):
        """What is kept of it is bounded."""

        async def main(work: Work) -> int:
            wire = await work.connect()
            await wire.send(work.request("/")[:-2] + sent)
            found = (await wire.answer()).status
            wire.close()
            return found

        assert at_work(main) == status

    def test_a_url_of_a_megabyte_is_414(self):
        """Long before all of it has come."""

        async def main(work: Work) -> int:
            wire = await work.connect()
            await wire.send(b"GET /" + b"a" * 20_000)
            status = (await wire.answer()).status
            wire.close()
            return status

        assert at_work(main) == 414
