"""The worker plane over real sockets: whole replies, in order, and each request by itself."""

import asyncio

import pytest

from broker.plan import make_book
from broker.server.connection import PIPELINE
from tests.made import HOST, a_config, a_role, an_entry
from tests.server.plane import Answer, Work, at_work, turns, until

MANY = 2000


class TestOneRequest:
    def test_a_held_lease_is_answered_from_memory(self):
        """With the fields that every reply has, and without asking upstream again."""

        async def main(work: Work) -> tuple[Answer, int]:
            await work.warm()
            return await work.ask(work.request("/aws/train", Authorization=work.token())), len(work.upstream.asked)

        answer, asked = at_work(main)

        assert (answer.status, asked) == (200, 1)
        assert answer.json["AccessKeyId"] == "ASIAtrain-1"
        assert answer.fields["cache-control"] == "no-store"
        assert "connection" not in answer.fields

    @pytest.mark.parametrize(
        ("head", "kept"),
        [
            (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", True),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n", True),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", False),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: TE, Close\r\n\r\n", False),
            (b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", False),
            (b"GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n", False),
        ],
    )
    def test_a_connection_stays_open_unless_the_client_or_http_1_0_ends_it(self, head: bytes, kept: bool):
        """A reply that ends its connection says so."""

        async def main(work: Work) -> tuple[Answer, bool]:
            wire = await work.connect()
            await wire.send(head)
            answer = await wire.answer()
            open_still = await wire.quiet()
            if not kept:
                assert await wire.rest() == b""
            wire.close()
            return answer, open_still

        answer, open_still = at_work(main)

        assert (answer.status, open_still) == (200, kept)
        assert answer.fields.get("connection") == (None if kept else "close")

    def test_a_head_may_be_cut_anywhere(self):
        """TCP knows no heads."""

        async def main(work: Work) -> set[int]:
            await work.warm()
            head, wire, statuses = work.attested("/aws/train"), await work.connect(), set()
            for cut in range(1, len(head)):
                await wire.send(head[:cut])
                await turns(3)
                await wire.send(head[cut:])
                statuses.add((await wire.answer()).status)
            wire.close()
            return statuses

        assert at_work(main) == {200}

    def test_a_head_may_come_byte_by_byte(self):
        """And nothing is answered before its last one."""

        async def main(work: Work) -> tuple[bool, int]:
            await work.warm()
            wire, *head = await work.connect(), *work.attested("/aws/train")
            for byte in head[:-1]:
                await wire.send(bytes([byte]))
                await turns(2)
            early = not await wire.quiet()
            await wire.send(bytes(head[-1:]))
            answer = await wire.answer()
            wire.close()
            return early, answer.status

        assert at_work(main) == (False, 200)


class TestPipelining:
    def test_replies_come_in_the_order_of_the_requests(self):
        """One segment, several requests, and the beginning of another."""

        async def main(work: Work) -> list[bytes]:
            await work.warm()
            await work.warm("/token/data")
            wire, last = await work.connect(), work.attested("/computeMetadata/v1/")
            requests = [work.attested("/aws/train"), work.request("/"), work.attested("/token/data")]
            await wire.send(b"".join(requests) + last[:-3])
            answers = [await wire.answer() for _ in range(3)]
            await wire.send(last[-3:])
            answers.append(await wire.answer())
            wire.close()
            return [answer.body for answer in answers]

        keys, root, token, missing = at_work(main)

        assert b"ASIAtrain-1" in keys
        assert root == b"computeMetadata/"
        assert b"ya29.data-2" in token
        assert b"Metadata-Flavor" in missing

    def test_requests_behind_a_cold_lease_wait_their_turn(self):
        """Even those that could be answered at once; and upstream is asked once."""

        async def main(work: Work) -> tuple[bool, list[Answer], list[str]]:
            work.upstream.gate.clear()
            wire = await work.connect()
            await wire.send(work.attested("/aws/train") + work.request("/") + work.attested("/aws/train"))
            await until(lambda: work.upstream.asked == ["train"])
            early = not await wire.quiet()
            work.upstream.gate.set()
            answers = [await wire.answer() for _ in range(3)]
            wire.close()
            return early, answers, work.upstream.asked

        early, answers, asked = at_work(main)

        assert not early
        assert [answer.status for answer in answers] == [200, 200, 200]
        assert answers[1].body == b"computeMetadata/"
        assert answers[0].body == answers[2].body
        assert asked == ["train"]

    @pytest.mark.parametrize(("queued", "answered"), [(PIPELINE, True), (PIPELINE + 1, False), (MANY, False)])
    def test_so_many_are_queued_and_a_client_with_more_is_closed(self, queued: int, answered: bool):
        """Memory is bounded; the mint goes on for others all the same."""

        async def main(work: Work) -> tuple[bytes, int]:
            await work.warm("/token/data")
            work.upstream.gate.clear()
            wire = await work.connect()
            await wire.send(work.attested("/aws/train") + work.request("/") * queued)
            await until(lambda: "train" in work.upstream.asked)
            if answered:
                work.upstream.gate.set()
                await wire.answer()
                for _ in range(queued):
                    assert (await wire.answer()).status == 200
                wire.finish()
            rest = await wire.rest()
            wire.close()
            work.upstream.gate.set()
            return rest, (await work.ask(work.attested("/aws/train"))).status

        assert at_work(main) == (b"", 200)

    def test_any_number_of_held_answers_go_out_in_order(self):
        """Nothing is queued where nothing is waited for."""

        async def main(work: Work) -> list[int]:
            await work.warm()
            wire = await work.connect()
            pair = work.attested("/aws/train") + work.attested("/aws/hidden")
            sending = asyncio.gather(wire.send(pair * MANY), return_exceptions=True)
            statuses = [(await wire.answer()).status for _ in range(2 * MANY)]
            await sending
            wire.close()
            return statuses

        assert at_work(main) == [200, 403] * MANY

    def test_each_request_is_authorised_by_itself(self):
        """What one has shown says nothing for the next, however alike they look."""

        async def main(work: Work) -> list[int]:
            await work.warm()
            good, wire = work.token(), await work.connect()
            bad = good[:-1] + ("A" if good[-1] != "A" else "B")
            shown = [{"Authorization": good}, {"Authorization": bad}, {}, {"Authorization": good}]
            await wire.send(b"".join(work.request("/aws/train", **fields) for fields in shown))
            answers = [await wire.answer() for _ in shown]
            wire.close()
            return [answer.status for answer in answers]

        assert at_work(main) == [200, 401, 401, 200]

    def test_nothing_is_answered_after_a_malformed_head(self):
        """Two readers could disagree about where the next one begins."""

        async def main(work: Work) -> tuple[Answer, Answer, bytes]:
            wire, good = await work.connect(), work.request("/")
            await wire.send(good + good.replace(b"Host:", b"Host :") + good)
            answers = await wire.answer(), await wire.answer()
            rest = await wire.rest()
            wire.close()
            return *answers, rest

        first, second, rest = at_work(main)

        assert (first.status, second.status, rest) == (200, 400, b"")
        assert second.fields["connection"] == "close"


class TestOpenConnection:
    def test_a_revoked_token_is_refused_from_the_very_next_request_on(self):
        """The connection has learnt nothing; the same bytes are looked at anew."""

        async def main(work: Work) -> list[int]:
            await work.warm()
            wire, head = await work.connect(), work.request("/aws/train", Authorization=work.token())
            statuses = []
            for _ in range(2):
                await wire.send(head)
                statuses.append((await wire.answer()).status)
            work.tokens.revoke(work.tokens.list()[0].id)
            await wire.send(head)
            statuses.append((await wire.answer()).status)
            wire.close()
            return statuses

        assert at_work(main) == [200, 200, 401]

    def test_a_token_that_expires_is_refused_too(self):
        """At its time, not when somebody sweeps."""

        async def main(work: Work) -> list[int]:
            await work.warm("/token/data")
            wire, head = await work.connect(), work.request("/token/data", Authorization=work.token())
            await wire.send(head)
            before = (await wire.answer()).status
            work.clock.pass_time(3600.0)
            await wire.send(head)
            after = (await wire.answer()).status
            wire.close()
            return [before, after]

        assert at_work(main) == [200, 401]

    def test_a_reload_decides_about_the_next_request(self):
        """A grant that is gone is gone for those who are connected, too."""

        async def main(work: Work) -> list[int]:
            await work.warm()
            wire, head = await work.connect(), work.request("/aws/train", Authorization=work.token())
            await wire.send(head)
            before = (await wire.answer()).status
            work.desk.swap(make_book(a_config(a_role(), an_entry("trainer")), HOST))
            await wire.send(head)
            after = (await wire.answer()).status
            wire.close()
            return [before, after]

        assert at_work(main) == [200, 403]
