"""Who a request is of, on the wire: tokens in a field or a path, the kernel's word, and nothing at all."""

import pytest

from broker.events import RequestDenied
from broker.model import Facts
from tests.made import SERVICE
from tests.server.plane import ALICE, BOB, STRANGER, Answer, Work, at_work

TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"
FLAVOR = {"Metadata-Flavor": "Google"}


async def ask(work: Work, path: str, **fields: str) -> Answer:
    """One request with these fields."""
    return await work.ask(work.request(path, **fields))


class TestHeaderToken:
    @pytest.mark.parametrize("before", ["", "Bearer ", "bearer ", "BEARER "])
    def test_it_is_shown_raw_or_as_a_bearer(self, before: str):
        """AWS SDKs send the variable's text as it is; people's own programs say Bearer."""

        async def main(work: Work) -> int:
            return (await ask(work, "/aws/train", Authorization=before + work.token())).status

        assert at_work(main) == 200

    @pytest.mark.parametrize("text", ["", "cbw_", "Basic YTpi", "Attested", "cbw_" + "A" * 43, "x" * 9000])
    def test_what_is_shown_decides_alone(self, text: str):
        """A bad token is 401 even for whom the uid would open everything: never a fall-back."""

        async def main(work: Work) -> list[int]:
            return [(await ask(work, path, Authorization=text, **FLAVOR)).status for path in ("/aws/train", TOKEN, "/")]

        assert at_work(main) == [401, 401, 401]

    def test_it_opens_what_its_caller_is_granted_whoever_connects(self):
        """A token bound to no uid is the caller, and neither less nor more."""

        async def main(work: Work) -> list[int]:
            work.uid = STRANGER
            token = work.token("pods")
            return [(await ask(work, path, Authorization=token)).status for path in ("/aws/train", "/token/data")]

        assert at_work(main) == [200, 403]

    @pytest.mark.parametrize(("uid", "status"), [(ALICE, 200), (BOB, 401), (None, 401)])
    def test_one_that_is_bound_to_a_uid_is_good_for_that_uid_alone(self, uid: int | None, status: int):
        """Stolen, it is worth nothing; and where the kernel is in doubt, it is another's."""

        async def main(work: Work) -> tuple[int, list[str]]:
            work.uid = uid
            answer = await ask(work, "/aws/train", Authorization=work.token(uid=ALICE))
            return answer.status, [event.reason for event in work.noted(RequestDenied)]

        assert at_work(main) == (status, [] if status == 200 else ["token-of-another-uid"])


class TestPathToken:
    def test_it_opens_the_metadata_server(self):
        """Google's libraries can be told a host and a path, and no header."""

        async def main(work: Work) -> list[int]:
            work.uid = None
            place = f"/w/{work.token(purpose='path')}"
            return [
                (await ask(work, place + TOKEN, **FLAVOR)).status,
                (await ask(work, f"{place}/computeMetadata/v1/", **FLAVOR)).status,
                (await ask(work, place + TOKEN)).status,
            ]

        assert at_work(main) == [200, 200, 403]

    @pytest.mark.parametrize("path", ["/aws", "/aws/train", "/token", "/token/data", "/env/train"])
    def test_it_opens_nothing_else(self, path: str):
        """URLs end up in error texts and logs: what can carry a header must."""

        async def main(work: Work) -> tuple[int, list[str]]:
            answer = await ask(work, f"/w/{work.token(purpose='path')}{path}", Authorization=work.token())
            return answer.status, [event.reason for event in work.noted(RequestDenied)]

        assert at_work(main) == (401, ["path-token-elsewhere"])

    def test_it_decides_even_if_a_header_is_shown(self):
        """A wrong one is refused beside a right header, and beside the uid."""

        async def main(work: Work) -> list[int]:
            wrong = f"/w/cbp_{'A' * 43}{TOKEN}"
            shown = [{"Authorization": work.token()}, {"Authorization": "attested"}, {}]
            return [(await ask(work, wrong, **fields, **FLAVOR)).status for fields in shown]

        assert at_work(main) == [401, 401, 401]

    def test_each_kind_is_good_in_its_own_place_alone(self):
        """One that leaks from a URL opens no header's door, and the other way round."""

        async def main(work: Work) -> list[int]:
            header, path = work.token(), work.token(purpose="path")
            return [
                (await ask(work, "/aws/train", Authorization=path)).status,
                (await ask(work, f"/w/{header}{TOKEN}", **FLAVOR)).status,
            ]

        assert at_work(main) == [401, 401]

    def test_a_path_behind_it_that_nobody_knows_is_404(self):
        """Its caller is known by then."""

        async def main(work: Work) -> int:
            return (await ask(work, f"/w/{work.token(purpose='path')}/nothing", **FLAVOR)).status

        assert at_work(main) == 404


class TestAttested:
    @pytest.mark.parametrize(("uid", "status"), [(ALICE, 200), (BOB, 200), (STRANGER, 401), (0, 401), (None, 401)])
    def test_the_uid_of_the_connection_is_the_caller(self, uid: int | None, status: int):
        """By itself or by its groups; nobody's, root's unless allowed, and a doubtful one are 401."""

        async def main(work: Work) -> list[int]:
            work.uid = uid
            return [
                (await ask(work, "/token/data", Authorization="attested")).status,
                (await ask(work, TOKEN, **FLAVOR)).status,
            ]

        assert at_work(main) == [status, status]

    def test_metadata_flavor_speaks_for_the_metadata_server_alone(self):
        """Elsewhere it is a header like any other."""

        async def main(work: Work) -> int:
            return (await ask(work, "/aws/train", **FLAVOR)).status

        assert at_work(main) == 401


class TestBare:
    @pytest.mark.parametrize(
        ("uid", "path", "status"),
        [(ALICE, "/token/data", 401), (BOB, "/token/data", 200), (BOB, "/aws/train", 403), (None, "/token/data", 401)],
    )
    def test_it_is_refused_unless_the_caller_allows_it(self, uid: int | None, path: str, status: int):
        """A bare GET is what a tricked URL fetcher sends."""

        async def main(work: Work) -> int:
            work.uid = uid
            return (await ask(work, path)).status

        assert at_work(main) == status

    @pytest.mark.parametrize(
        ("path", "hint"),
        [("/aws", "AWS_CONTAINER_AUTHORIZATION_TOKEN"), ("/token", "Authorization"), ("/nothing", "Authorization")],
    )
    def test_its_refusal_says_what_to_set(self, path: str, hint: str):
        """And nothing of who the caller might be."""

        async def main(work: Work) -> Answer:
            return await ask(work, path)

        answer = at_work(main)

        assert (answer.status, hint in answer.body.decode()) == (401, True)
        assert "trainer" not in answer.body.decode()

    def test_the_metadata_server_wants_its_header_first(self):
        """As the real one; but who is asked before what."""

        async def main(work: Work) -> list[int]:
            work.uid = ALICE
            found = [(await ask(work, TOKEN)).status]
            work.uid = BOB
            return [*found, (await ask(work, TOKEN)).status]

        assert at_work(main) == [401, 403]


class TestProbe:
    @pytest.mark.parametrize("path", ["/", "/w/{}", "/w/{}/"])
    def test_anybody_may_see_that_this_is_a_metadata_server(self, path: str):
        """Clients look before they ask; there is no secret to be seen, so no token is looked up either."""

        async def main(work: Work) -> Answer:
            work.uid = None
            return await ask(work, path.format(f"cbp_{'A' * 43}"))

        answer = at_work(main)

        assert (answer.status, answer.fields["metadata-flavor"]) == (200, "Google")


class TestLeases:
    def test_an_id_token_is_minted_for_configured_audiences_alone(self):
        """404 as at the real server; the audience comes from the caller."""

        async def main(work: Work) -> list[int]:
            path = TOKEN.replace("/token", "/identity?audience=")
            return [(await ask(work, path + audience, **FLAVOR)).status for audience in (SERVICE, "https://other")]

        assert at_work(main) == [200, 404]

    def test_a_session_handed_on_needs_the_owner_s_word(self):
        """Found out only when it is minted; the caller is told what he is told of any credential not his."""

        async def main(work: Work) -> tuple[int, list[str]]:
            work.upstream.more = {"facts": Facts(handed_on=True)}
            answer = await ask(work, "/aws/own", Authorization="attested")
            return answer.status, [event.reason for event in work.noted(RequestDenied)]

        assert at_work(main) == (403, ["identity-not-shared"])

    def test_without_a_name_it_is_the_first_of_the_kind(self):
        """In the order of the grants."""

        async def main(work: Work) -> list[bytes]:
            return [(await ask(work, path, Authorization="attested")).body for path in ("/aws", "/token")]

        keys, token = at_work(main)

        assert b"ASIAtrain" in keys
        assert b"ya29.data" in token
