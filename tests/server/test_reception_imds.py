"""IMDSv2 on the wire: who gets a session token, on which connections it is good, and what it opens there."""

import pytest

from broker.config.shape import CallerEntry, Rule
from broker.events import LeaseHanded, RequestDenied
from tests.made import a_config, a_role
from tests.server.imds import EVERY, META, REGION, ROLES, SIX_HOURS, at_work, get, put, reload, session
from tests.server.plane import ALICE, BOB, STRANGER, Answer, Work
from tests.server.plane import at_work as at_plain_work


class TestSession:
    def test_a_put_and_two_gets_bring_a_lease(self):
        """The way that every SDK goes."""

        async def main(work: Work) -> tuple[Answer, Answer, Answer]:
            given = await work.ask(put(work))
            token = given.body.decode()
            return given, await get(work, f"{ROLES}/", token), await get(work, f"{ROLES}/train", token)

        given, role, document = at_work(main)

        assert given.fields["x-aws-ec2-metadata-token-ttl-seconds"] == "600"
        assert (role.status, role.body) == (200, b"train")
        assert (document.status, document.json["Code"]) == (200, "Success")
        assert document.json["AccessKeyId"] == "ASIAtrain-1"

    def test_each_uid_gets_its_own_from_the_same_bytes(self):
        """A head is read once for all connections; whose it is, is asked at each."""

        async def main(work: Work) -> list[int]:
            alice = await session(work)
            work.uid = BOB
            bob = await session(work)
            return [(await get(work, ROLES, token)).status for token in (alice, bob)]

        assert at_work(main) == [401, 404]  # bob has no AWS credential, but is known

    def test_it_ends_when_it_was_asked_to(self):
        """By the clock that suspends do not stop."""

        async def main(work: Work) -> list[int]:
            wire, token = await work.connect(), await session(work, "60")
            statuses = []
            for seconds in (0, 59, 1):
                work.clock.suspend(seconds)
                await wire.send(work.request(ROLES, X_aws_ec2_metadata_token=token))
                statuses.append((await wire.answer()).status)
            wire.close()
            return statuses

        assert at_work(main) == [200, 200, 401]

    def test_it_opens_nothing_outside_of_latest(self):
        """It is the token of one protocol."""

        async def main(work: Work) -> list[int]:
            token = await session(work)
            fields = [{"Authorization": token}, {"X-aws-ec2-metadata-token": token}]
            return [(await work.ask(work.request("/aws/train", **one))).status for one in fields]

        assert at_work(main) == [401, 401]

    def test_a_put_without_a_lifetime_is_400(self):
        """And so is one with a wrong one; the connection goes on."""

        async def main(work: Work) -> list[int]:
            wire = await work.connect()
            bare = work.request("/latest/api/token").replace(b"GET", b"PUT", 1)
            for head in (bare, put(work, "0"), put(work, "1e3"), put(work, "21601"), put(work)):
                await wire.send(head)
            statuses = [(await wire.answer()).status for _ in range(5)]
            wire.close()
            return statuses

        assert at_work(main) == [400, 400, 400, 400, 200]


class TestNeverAnothers:
    def test_another_uid_s_token_is_401(self):
        """It was read in a log, or in the memory of a worker that changed its uid."""

        async def main(work: Work) -> tuple[int, list[str]]:
            token = await session(work)
            work.uid = BOB
            return (await get(work, ROLES, token)).status, [event.reason for event in work.noted(RequestDenied)]

        assert at_work(main) == (401, ["imds-token-not-good"])

    @pytest.mark.parametrize("uid", [STRANGER, 0, None])
    def test_who_is_nobody_gets_none(self, uid: int | None):
        """401: with 403, 404 or 405 clients would try IMDSv1."""

        async def main(work: Work) -> int:
            work.uid = uid
            return (await work.ask(put(work))).status

        assert at_work(main) == 401

    def test_a_connection_that_is_not_attested_cannot_use_one(self):
        """A thief may half-close his, and then the kernel says nothing of it."""

        async def main(work: Work) -> int:
            token = await session(work)
            work.uid = None
            return (await get(work, ROLES, token)).status

        assert at_work(main) == 401

    def test_a_worker_token_buys_none(self):
        """It is a caller's, not a uid's: what is shown decides alone."""

        async def main(work: Work) -> list[int]:
            shown = [work.token(), work.token(uid=ALICE), "cbw_" + "A" * 43, "nonsense", "attested"]
            return [(await work.ask(put(work, Authorization=text))).status for text in shown]

        assert at_work(main) == [401, 401, 401, 401, 200]

    def test_a_token_beside_authorization_is_401(self):
        """No client sends both, and neither may hide that the other is bad."""

        async def main(work: Work) -> list[int]:
            token = await session(work)
            shown = ["attested", work.token(), "cbw_" + "A" * 43]
            return [(await get(work, ROLES, token, Authorization=text)).status for text in shown]

        assert at_work(main) == [401, 401, 401]

    def test_a_path_token_does_not_open_it(self):
        """IMDS clients can send a header, so no secret need stand in their URLs."""

        async def main(work: Work) -> int:
            return (await get(work, f"/w/{work.token(purpose='path')}{ROLES}", await session(work))).status

        assert at_work(main) == 401

    @pytest.mark.parametrize("name", ["hidden", "nothing", "data"])
    def test_what_is_not_granted_is_403_like_what_does_not_exist(self, name: str):
        """A Google credential is none of AWS."""

        async def main(work: Work) -> tuple[int, int]:
            answer = await get(work, f"{ROLES}/{name}", await session(work))
            return answer.status, len(answer.body)

        status, length = at_work(main)

        assert (status, length) == (403, NOT_GRANTED)


NOT_GRANTED = len(
    "<html><head><title>403 - Forbidden</title></head><body><h1>403 - Forbidden</h1>"
    "<p>AccessDenied: not granted (request 0123456789abcdef)</p></body></html>"
)


class TestNeverVersionOne:
    @pytest.mark.parametrize("path", EVERY)
    def test_a_get_without_a_session_token_is_401(self, path: str):
        """Whoever sends it: nothing, a bare caller, the kernel's word, a worker token."""

        async def main(work: Work) -> list[int]:
            heads = [work.request(path), work.attested(path), work.request(path, Authorization=work.token())]
            statuses = [(await work.ask(head)).status for head in heads]
            work.uid = BOB  # whose caller has `bare = true`
            return [*statuses, (await work.ask(work.request(path))).status]

        assert at_work(main) == [401, 401, 401, 401]

    @pytest.mark.parametrize("token", ["", "x", "attested", "cbi_" + "0" * 55, "A" * 5000])
    def test_nor_is_one_with_a_token_that_nobody_issued(self, token: str):
        """Or with an empty one."""

        async def main(work: Work) -> list[int]:
            return [(await get(work, path, token)).status for path in EVERY]

        assert at_work(main) == [401] * len(EVERY)


class TestAnswers:
    def test_one_role_is_listed_and_every_granted_one_answers(self):
        """The first is the role; whoever knows another name asks for it."""

        async def main(work: Work) -> list[bytes | str]:
            config = a_config(
                a_role("one"),
                a_role("two", session_name="two"),
                CallerEntry(name="both", rules=(Rule(uid=ALICE),), grants=("two", "one")),
            )
            reload(work, config)
            token = await session(work)
            documents = [(await get(work, f"{ROLES}/{name}", token)).json["AccessKeyId"] for name in ("one", "two")]
            return [(await get(work, ROLES, token)).body, *documents]

        assert at_work(main) == [b"two", "ASIAone-1", "ASIAtwo-2"]

    def test_a_place_is_the_first_credential_s(self):
        """With the same wait and the same refusals as its keys."""

        async def main(work: Work) -> list[bytes]:
            token = await session(work)
            places = (REGION, f"{META}/placement/availability-zone")
            return [(await get(work, path, token)).body for path in places]

        assert at_work(main) == [b"eu-west-1", b"eu-west-1a"]

    def test_a_cold_lease_is_503_for_now(self):
        """SDKs ask again; the mint goes on."""

        async def main(work: Work) -> Answer:
            token = await session(work)
            work.upstream.gate.clear()
            return await get(work, f"{ROLES}/train", token)

        answer = at_work(main, cold_wait=0.03)

        assert (answer.status, answer.fields["retry-after"]) == (503, "1")

    def test_a_caller_that_is_no_more_is_401_at_once(self):
        """A session token says which uid, not what it may."""

        async def main(work: Work) -> int:
            token = await session(work, str(SIX_HOURS))
            config = a_config(a_role(), CallerEntry(name="other", rules=(Rule(uid=BOB),), grants=("train",)))
            reload(work, config)
            return (await get(work, ROLES, token)).status

        assert at_work(main) == 401

    def test_what_is_handed_is_audited_and_no_token_is(self):
        """Once for each lease, under the dialect's name."""

        async def main(work: Work) -> tuple[str, list[LeaseHanded], str]:
            token = await session(work)
            for _ in range(3):
                await get(work, f"{ROLES}/train", token)
            await get(work, f"{ROLES}/train", token + "x")
            return token, work.noted(LeaseHanded), repr(work.events)

        token, handed, events = at_work(main)

        assert [(event.caller, event.how, event.uid, event.dialect) for event in handed] == [
            ("trainer", "uid", ALICE, "imds")
        ]
        assert token not in events


class TestOff:
    @pytest.mark.parametrize("uid", [ALICE, STRANGER, None])
    def test_who_speaks_it_hears_404_whoever_he_is(self, uid: int | None):
        """`imds` is not set, or attestation is off: clients then look elsewhere at once."""

        async def main(work: Work) -> list[int]:
            work.uid = uid
            heads = [put(work), put(work, "0"), work.request(ROLES, X_aws_ec2_metadata_token="cbi_x")]
            return [(await work.ask(head)).status for head in heads]

        assert at_plain_work(main) == [404, 404, 404]

    def test_for_all_others_it_is_any_path_that_is_not_there(self):
        """Who shows nothing is 401, a caller 404."""

        async def main(work: Work) -> list[int]:
            heads = [work.request(ROLES), work.attested(ROLES), work.request(ROLES, Authorization=work.token())]
            statuses = [(await work.ask(head)).status for head in heads]
            work.uid = BOB
            return [*statuses, (await work.ask(work.request(ROLES))).status]

        assert at_plain_work(main) == [401, 404, 404, 404]
