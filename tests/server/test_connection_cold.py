"""What nobody holds yet, over real sockets: waited for a moment, then 503, while the mint goes on."""

import asyncio

import pytest

from broker.errors import BrokerError, Denied, Throttled, Unreachable
from tests.server.plane import ALICE, Answer, Work, at_work, until

MOMENT = 0.03


class TestCold:
    @pytest.mark.parametrize(
        ("path", "told"),
        [
            ("/aws/train", "application/json"),
            ("/env/train", "application/json"),
            ("/token/data", "application/json"),
            ("/computeMetadata/v1/instance/service-accounts/default/token", "text/plain"),
        ],
    )
    def test_a_caller_waits_a_moment_and_is_told_to_come_back(self, path: str, told: str):
        """SDKs give up after a second and then slip to another provider; a 503 they retry."""

        async def main(work: Work) -> tuple[Answer, bool]:
            work.upstream.gate.clear()
            head = work.attested(path).replace(b"\r\n\r\n", b"\r\nMetadata-Flavor: Google\r\n\r\n")
            began = asyncio.get_running_loop().time()
            answer = await work.ask(head)
            return answer, asyncio.get_running_loop().time() - began > MOMENT / 2

        answer, waited = at_work(main, cold_wait=MOMENT)

        assert (answer.status, answer.fields["retry-after"], waited) == (503, "1", True)
        assert answer.fields["content-type"] == told
        assert b"NotReady" in answer.body

    def test_the_mint_goes_on_and_the_next_request_has_its_lease(self):
        """On the same connection, from one mint."""

        async def main(work: Work) -> tuple[list[int], list[str]]:
            work.upstream.gate.clear()
            wire, head = await work.connect(), work.attested("/aws/train")
            await wire.send(head)
            statuses = [(await wire.answer()).status]
            work.upstream.gate.set()
            await wire.send(head)
            statuses.append((await wire.answer()).status)
            wire.close()
            return statuses, work.upstream.asked

        assert at_work(main, cold_wait=MOMENT) == ([503, 200], ["train"])

    def test_each_of_several_on_one_connection_has_its_own_moment(self):
        """The second begins to wait when the first has its answer."""

        async def main(work: Work) -> tuple[list[int], list[str]]:
            work.upstream.gate.clear()
            wire = await work.connect()
            await wire.send(work.attested("/aws/train") * 2)
            statuses = [(await wire.answer()).status]
            asyncio.get_running_loop().call_later(MOMENT / 2, work.upstream.gate.set)
            statuses.append((await wire.answer()).status)
            wire.close()
            return statuses, work.upstream.asked

        assert at_work(main, cold_wait=2 * MOMENT) == ([503, 200], ["train"])

    def test_a_herd_gets_one_lease_from_one_mint(self):
        """Whole and the same for all."""

        async def main(work: Work) -> tuple[set[bytes], int]:
            work.upstream.gate.clear()
            wires = [await work.connect() for _ in range(200)]
            for wire in wires:
                await wire.send(work.attested("/aws/train"))
            await until(lambda: bool(work.upstream.asked))
            work.upstream.gate.set()
            bodies = {(await wire.answer()).body for wire in wires}
            for wire in wires:
                wire.close()
            return bodies, len(work.upstream.asked)

        bodies, asked = at_work(main)

        assert (len(bodies), asked) == (1, 1)


class TestFailedMint:
    @pytest.mark.parametrize(
        ("trouble", "status", "patience"),
        [
            (Unreachable("upstream refuses the connection"), 503, True),
            (Throttled("upstream asks for patience", retry_after=17.0), 503, True),
            (Denied("the role does not trust us", code="AccessDenied"), 403, False),
        ],
    )
    def test_who_waited_is_told_why_at_once(self, trouble: BrokerError, status: int, patience: bool):
        """In words of ours, with the error's own code; a 503 says when to come back."""

        async def main(work: Work) -> Answer:
            work.upstream.trouble = trouble
            return await work.ask(work.attested("/aws/train"))

        answer = at_work(main)

        assert (answer.status, answer.json["Code"]) == (status, trouble.code)
        assert trouble.advice in answer.json["Message"]
        assert ("retry-after" in answer.fields) == patience

    def test_upstream_is_left_alone_until_the_next_try_is_due(self):
        """Callers that come back too soon are told so without a mint."""

        async def main(work: Work) -> tuple[list[int], int]:
            work.upstream.trouble = Throttled("upstream asks for patience", retry_after=17.0)
            answers = [await work.ask(work.attested("/aws/train")) for _ in range(3)]
            early = len(work.upstream.asked)
            work.clock.pass_time(60.0)
            work.upstream.trouble = None
            answers.append(await work.ask(work.attested("/aws/train")))
            return [answer.status for answer in answers], early

        assert at_work(main) == ([503, 503, 503, 200], 1)


class TestColdName:
    def test_a_name_service_that_is_slow_costs_a_moment_and_no_more(self):
        """Nobody else waits for it, and its answer is kept."""

        async def main(work: Work) -> tuple[list[int], list[int]]:
            work.names.answering.clear()
            answers = [await work.ask(work.attested("/aws/train"))]
            answers.append(await work.ask(work.request("/aws/train", Authorization=work.token())))
            work.names.answering.set()
            answers.append(await work.ask(work.attested("/aws/train")))
            return [answer.status for answer in answers], work.names.asked

        assert at_work(main, cold_wait=MOMENT) == ([503, 200, 200], [ALICE])
