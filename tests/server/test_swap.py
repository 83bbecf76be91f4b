"""A pod swaps its token for a path token."""

import asyncio
from typing import Any

import msgspec
import pytest

from broker.events import TokenIssued
from broker.server import swap
from broker.server.link import Link
from broker.server.swap import Swapper
from tests.server.pods import LOOPBACK, POD_PLANE, Office, of_pods
from tests.server.test_reception_pods import at_work, body, issued, reasons

GOOGLE = {"metadata_flavor": "Google"}
OTHER = Link(POD_PLANE, None, peer="10.1.0.8")
SIXTH = Link(("fd00:ec2::23", 80), None, peer="fd00::7")


async def swapped(office: Office, token: str | None = None, link: Link | None = None) -> dict[str, Any]:
    reply = await office.answered("/worker-token", link, method="PUT", authorization=token or office.token())
    assert reply.status == 200
    return body(reply)


async def status(office: Office, path_token: str, link: Link | None = None, **fields: Any) -> int:
    path = f"/w/{path_token}/computeMetadata/v1/instance/service-accounts/default/token"
    return (await office.answered(path, link, **GOOGLE, **fields)).status


class TestSwap:
    def test_the_path_token_is_the_pod(self):
        """For the dialects that need one, and no other."""

        async def main(office: Office) -> None:
            token = (await swapped(office))["token"]
            assert await status(office, token) == 200
            assert (await office.answered(f"/w/{token}/aws")).status == 401

        at_work(main)

    def test_the_answer_says_what_google_needs(self):
        """With the address that was asked, in the form of `credbroker env`."""

        async def main(office: Office) -> None:
            found = await swapped(office)
            host = f"169.254.170.23:9911/w/{found['token']}"
            settings = found["environment"]["set"]
            assert {settings[name] for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT")} == {host}
            assert settings["GCE_METADATA_MTLS_MODE"] == "none"
            assert "GOOGLE_APPLICATION_CREDENTIALS" in found["environment"]["unset"]
            assert found["expires_at"] == "2027-01-15T09:00:00Z"

        at_work(main)

    def test_an_ipv6_address_stands_in_brackets(self):
        """As in any URL."""

        async def main(office: Office) -> str:
            link = Link(("fd00:ec2::23", 80), None, peer="fd00::7")
            fields = {"authorization": office.token(), "host": "[fd00:ec2::23]"}
            reply = await office.answered("/worker-token", link, method="PUT", **fields)
            return str(body(reply)["environment"]["set"]["GCE_METADATA_HOST"])

        assert at_work(main).startswith("[fd00:ec2::23]:80/w/cbp_")

    def test_it_ends_with_the_projected_token(self):
        """And not a second later."""

        async def main(office: Office) -> None:
            token = (await swapped(office))["token"]
            await asyncio.sleep(3599)
            assert await status(office, token) == 200
            await asyncio.sleep(1)
            assert await status(office, token) == 401

        at_work(main)

    def test_the_next_projected_token_gives_it_more_life(self):
        """Its URL stays what it was: Google's clients read it once."""

        async def main(office: Office) -> None:
            token = (await swapped(office))["token"]
            await asyncio.sleep(3000)
            assert (await swapped(office))["token"] == token
            await asyncio.sleep(3000)
            office.tokens.expire(office.clock.now())
            assert await status(office, token) == 200
            assert len(office.tokens) == 1

        at_work(main)

    def test_a_token_for_a_year_is_swapped_for_a_day(self):
        """The API server extends some of its own; URLs end up in error texts."""

        async def main(office: Office) -> None:
            far = int(office.clock.wall()) + 365 * 86_400
            await swapped(office, office.cluster.token(office.pod, "credbroker", exp=far))
            (entry,) = office.tokens.list()
            assert entry.ends == office.clock.now() + swap.LONGEST

        at_work(main)

    def test_its_issue_is_told_once_and_names_the_pod(self):
        """Renewals are the same token."""

        async def main(office: Office) -> None:
            for _ in range(3):
                await swapped(office)
                await asyncio.sleep(600)
            (told,) = [event for event in office.noted if isinstance(event, TokenIssued)]
            assert (told.caller, told.uid, told.by_uid) == ("trainer", None, None)
            assert told.pod is not None
            assert told.pod.name == "worker-0"

        at_work(main)

    def test_two_pods_have_two(self):
        """Even of one service account; nor can one be worked out from another."""

        async def main(office: Office) -> None:
            other = office.cluster.run("ml", "trainer", "worker-1")
            assert (await swapped(office))["token"] != (await swapped(office, office.token(other)))["token"]

        at_work(main)

    def test_one_pod_as_two_callers_has_two(self):
        """A token for one audience must not open what another is for."""

        async def main(office: Office) -> None:
            data = (await swapped(office, office.token(None, "credbroker")))["token"]
            none = (await swapped(office, office.token(None, "other")))["token"]
            assert data != none
            assert [await status(office, token) for token in (data, none)] == [200, 403]

        at_work(main, of_pods("trainer", "data"), of_pods("other", audience="other"))

    def test_another_daemon_gives_another(self):
        """Its key is its own."""

        async def main(office: Office) -> set[bytes]:
            caller = await office.caller()
            swappers = [Swapper(office.tokens, office.noted.append, office.clock) for _ in range(2)]
            link, ends = Link(LOOPBACK, None), office.clock.wall() + 60
            return {one.swap(caller, office.token(), ends, link).body for one in swappers}

        assert len(at_work(main)) == 2


class TestBond:
    @pytest.mark.parametrize("thief", [OTHER, Link(LOOPBACK, None, peer="127.0.0.1"), SIXTH])
    def test_it_opens_nothing_from_elsewhere(self, thief: Link):
        """URLs end up in error texts and logs, which others read: another pod, or a process of the node."""

        async def main(office: Office) -> None:
            token = (await swapped(office))["token"]
            fields = {"host": "[fd00:ec2::23]"} if thief is SIXTH else {}
            assert await status(office, token, thief, **fields) == 401
            assert reasons(office) == ["token-of-another-pod"]
            assert await status(office, token) == 200

        at_work(main)

    def test_nor_does_a_sidecars_on_the_nodes_address(self):
        """It was asked for on loopback, where an address says nothing."""

        async def main(office: Office) -> None:
            link = Link(LOOPBACK, None)
            token = (await swapped(office, link=link))["token"]
            assert [await status(office, token, one) for one in (link, OTHER)] == [200, 401]

        at_work(main)

    def test_a_pod_that_has_another_address_now_asks_from_there(self):
        """Its network was made anew; the URL that its processes have read stays good."""

        async def main(office: Office) -> None:
            token = (await swapped(office))["token"]
            assert (await swapped(office, office.token(), OTHER))["token"] == token
            assert [await status(office, token, one) for one in (OTHER, None)] == [200, 401]

        at_work(main)

    def test_it_ends_a_minute_after_its_pod(self):
        """The projected token behind it is reviewed as if it were shown."""

        async def main(office: Office) -> None:
            token = (await swapped(office))["token"]
            office.cluster.delete(office.pod)
            assert await status(office, token) == 200
            await asyncio.sleep(60)
            assert (await status(office, token), reasons(office)) == (401, ["review-refused"])

        at_work(main)

    def test_an_older_projected_token_does_not_take_the_place_of_a_newer(self):
        """Two containers of a pod may have files of different age."""

        async def main(office: Office) -> None:
            older = office.token()
            await asyncio.sleep(600)
            token = (await swapped(office))["token"]
            await swapped(office, older)
            await asyncio.sleep(3300)
            assert await status(office, token) == 200

        at_work(main)

    def test_from_before_a_restart_it_is_good_until_its_end(self):
        """Its digest was kept and what stood behind it was not: that would be a secret at rest."""

        async def main(office: Office) -> None:
            token = (await swapped(office))["token"]
            after = Office(office.clock)
            after.tokens.load(office.tokens.dump(), office.clock.now(), office.clock.wall())
            assert [await status(after, token, one) for one in (None, OTHER)] == [200, 401]
            await asyncio.sleep(3600)
            assert await status(after, token) == 401
            await after.rounds.close()
            after.directory.close()

        at_work(main)

    def test_what_stands_behind_it_is_kept_no_longer_than_it(self):
        """A token that is no more needs none."""

        async def main(office: Office) -> None:
            swapper = office.reception._swapper
            await swapped(office)
            (entry,) = office.tokens.list()
            office.reception.tick()
            assert swapper.behind(entry.id) is not None
            office.tokens.revoke(entry.id)
            office.reception.tick()
            assert swapper.behind(entry.id) is None

        at_work(main)


class TestRefused:
    @pytest.mark.parametrize("fields", [{}, {"authorization": "attested"}, {"authorization": "a.b.c"}])
    def test_who_is_nobody_gets_none(self, fields: dict[str, Any]):
        """On the pods' plane nobody else is anybody."""

        async def main(office: Office) -> int:
            return (await office.answered("/worker-token", method="PUT", **fields)).status

        assert at_work(main) == 401

    def test_a_worker_token_is_not_swapped(self):
        """Those who issue tokens issue the one that is needed."""

        async def main(office: Office) -> None:
            token = issued(office, "header", "alice")
            reply = await office.answered("/worker-token", Link(LOOPBACK, None), method="PUT", authorization=token)
            assert (reply.status, reasons(office)) == (403, ["swap-of-another"])

        at_work(main)

    def test_a_get_is_not_a_swap(self):
        """A GET changes nothing."""

        async def main(office: Office) -> int:
            return (await office.answered("/worker-token", authorization=office.token())).status

        assert at_work(main) == 404

    def test_a_put_elsewhere_is_not_a_swap(self):
        """The head parser lets two paths pass."""

        async def main(office: Office) -> int:
            return (await office.answered("/latest/api/token", method="PUT", authorization=office.token())).status

        assert at_work(main) == 404

    def test_a_token_that_has_ended_here_is_not_swapped(self):
        """The API server gives a minute of leeway; a token of no life is none."""

        async def main(office: Office) -> None:
            token = office.cluster.token(office.pod, "credbroker", exp=int(office.clock.wall()) - 30)
            reply = await office.answered("/worker-token", method="PUT", authorization=token)
            assert (reply.status, reasons(office)) == (401, ["jwt-expired"])

        at_work(main)


class TestDecoded:
    def test_the_answer_is_flat_json_with_one_folder(self):
        """So that a shell with jq, or Python's standard library, is enough."""

        async def main(office: Office) -> None:
            reply = await office.answered("/worker-token", method="PUT", authorization=office.token())
            assert msgspec.json.decode(reply.body).keys() == {"token", "expires_at", "environment"}
            assert reply.content_type == "application/json"

        at_work(main)
