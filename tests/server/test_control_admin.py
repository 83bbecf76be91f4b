"""The admin address for probes, and what both addresses answer to what they do not know."""

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broker.errors import Unreachable
from broker.server.clerk import Clerk
from tests.server.office import OpenOffice, at_counter, exchanged

SOCKET_PATHS = ("/status", "/whoami", "/tokens", "/lease/train", "/worker", "/refresh/train", "/reload")


def fetched(address: str, path: str) -> tuple[int, str, str]:
    """Status, content type and text of one page."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


async def page(office: OpenOffice, path: str) -> tuple[int, str, str]:
    """The same from beside the loop."""
    return await asyncio.get_running_loop().run_in_executor(None, fetched, office.admin, path)


class TestHealth:
    def test_it_is_200_while_the_loop_turns(self, tmp_path: Path):
        """Whatever upstream does."""

        async def main(office: OpenOffice) -> tuple[int, str, str]:
            office.rounds.warm(office.desk.book.warm())
            return await page(office, "/healthz")

        assert at_counter(main, tmp_path)[0] == 200


class TestReady:
    def test_it_counts_and_names_nothing(self, tmp_path: Path):
        """A port that anybody may ask tells no names; 503 until all that is required is held."""

        async def main(office: OpenOffice) -> list[tuple[int, str]]:
            office.rounds.warm(office.desk.book.warm())
            said = [await page(office, "/readyz")]
            await office.mint("train", "data")
            office.work.upstream.trouble = Unreachable("upstream is down")
            await office.mint("data")
            said.append(await page(office, "/readyz"))
            return [(status, text) for status, _, text in said]

        cold, held = at_counter(main, tmp_path)

        assert (cold[0], json.loads(cold[1])) == (503, {"ready": False, "missing": 2, "degraded": 0})
        assert (held[0], json.loads(held[1])) == (200, {"ready": True, "missing": 0, "degraded": 1})
        assert "train" not in cold[1] + held[1]


class TestMetrics:
    def test_prometheus_reads_every_family_of_the_contract(self, tmp_path: Path):
        """By its own parser, with the prefix."""

        async def main(office: OpenOffice) -> tuple[int, str, str]:
            await office.mint("train")
            return await page(office, "/metrics")

        status, kind, text = at_counter(main, tmp_path)
        families = {family.name: family for family in text_string_to_metric_families(text)}

        assert (status, kind.startswith("text/plain; version=0.0.4")) == (200, True)
        assert set(families) >= {
            "credbroker_" + name
            for name in (
                *("requests", "lease_expiry_timestamp_seconds", "lease_last_refresh_timestamp_seconds", "mints"),
                *("mint_duration_seconds", "served_remaining_seconds", "stale_served", "denied", "upstream_calls"),
                *("event_loop_lag_seconds", "minter_restarts"),
            )
        }
        assert [sample.labels for sample in families["credbroker_mints"].samples] == []

    def test_a_lease_shows_when_it_ends(self, tmp_path: Path):
        """So that an alert comes before its callers notice."""

        async def main(office: OpenOffice) -> tuple[str, float]:
            await office.mint("train")
            return (await page(office, "/metrics"))[2], office.clock.wall() + 3600.0

        text, ends = at_counter(main, tmp_path)
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        (found,) = [one for one in samples if one.name == "credbroker_lease_expiry_timestamp_seconds"]

        assert (found.labels, found.value) == ({"credential": "train"}, ends)


class TestUnknown:
    @pytest.mark.parametrize("path", SOCKET_PATHS)
    def test_the_admin_address_has_nothing_of_the_socket(self, tmp_path: Path, path: str):
        """There is no peer uid on TCP: who asks is not known, so nothing is told or done."""

        async def main(office: OpenOffice) -> tuple[int, str]:
            status, _, text = await page(office, path)
            return status, json.loads(text)["code"]

        assert at_counter(main, tmp_path) == (404, "BadRequest")

    @pytest.mark.parametrize(
        ("method", "target", "body", "status"),
        [
            ("GET", "/nothing", None, 404),
            ("GET", "/metrics", None, 404),
            ("PUT", "/status", b"", 405),
            ("POST", "/tokens", b"", 400),
            ("POST", "/tokens", b"canary", 400),
            ("POST", "/tokens", b'{"caller": ["canary"]}', 400),
            ("POST", "/tokens", b'{"caller": "x", "ttl": 1e999}', 400),
            ("POST", "/tokens", b'{"caller": "x", "uid": "canary"}', 400),
            ("POST", "/worker", b"[" * 50_000, 400),
            ("POST", "/worker", b'"' + b"canary" * 20_000 + b'"', 413),
            ("POST", "/refresh/train", b"\xff", 400),
        ],
    )
    def test_what_is_not_understood_is_refused_without_an_echo(
        self, tmp_path: Path, method: str, target: str, body: bytes | None, status: int
    ):
        """In the API's own form, and nothing of what was sent comes back or is kept."""

        async def main(office: OpenOffice) -> tuple[int, dict[str, str], bytes]:
            found: tuple[int, dict[str, str], bytes] = await exchanged(office, method, target, body)
            return found

        found, fields, said = at_counter(main, tmp_path)

        assert (found, fields["content-type"]) == (status, "application/json")
        assert json.loads(said)["exit_status"] == 1
        assert b"canary" not in said

    def test_a_bug_of_ours_tells_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """500 and no more: a traceback quotes values."""

        def broken(*_: object) -> None:
            raise RuntimeError("canary")

        async def main(office: OpenOffice) -> tuple[int, bytes]:
            monkeypatch.setattr(Clerk, "status", broken)
            status, _, body = await exchanged(office, "GET", "/status")
            return status, body

        status, body = at_counter(main, tmp_path)

        assert status == 500
        assert b"canary" not in body
