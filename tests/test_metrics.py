"""Counters of our own, as Prometheus reads them."""

from collections.abc import Iterable

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from broker.events import LeaseMinted, MinterLost, UpstreamAsked
from broker.keeper import Keeper
from broker.metrics import Histogram, Metrics
from broker.model import CallerFacts, Facts
from tests.all_events import EVENTS, MINTED
from tests.leaping import EPOCH, START
from tests.made import a_book, a_minted, a_role, keys

# The names of the contract, each with its labels, and those of failing writes and lost events.
CONTRACT = {
    "requests_total": {"dialect", "code"},
    "lease_expiry_timestamp_seconds": {"credential"},
    "lease_last_refresh_timestamp_seconds": {"credential"},
    "mints_total": {"credential", "outcome"},
    "mint_duration_seconds_count": set[str](),
    "mint_duration_seconds_bucket": {"le"},
    "served_remaining_seconds_count": set[str](),
    "served_remaining_seconds_bucket": {"le"},
    "stale_served_total": {"credential"},
    "denied_total": {"reason"},
    "clock_skew_seconds": set[str](),
    "event_loop_lag_seconds": set[str](),
    "minter_restarts_total": set[str](),
    "upstream_calls_total": {"source", "code"},
    "write_failures_total": {"file"},
    "events_lost_total": set[str](),
    "sealed_leases_dropped_total": {"reason"},
}


def families(metrics: Metrics, *keepers: Keeper) -> Iterable[Metric]:
    return text_string_to_metric_families(metrics.scrape(keepers).decode())


def samples(metrics: Metrics, *keepers: Keeper) -> dict[tuple[str, ...], float]:
    """Every sample by its name, less the prefix, and the values of its labels in the order of their names."""
    return {
        (sample.name.removeprefix("credbroker_"), *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families(metrics, *keepers)
        for sample in family.samples
    }


def told() -> Metrics:
    """Metrics that have seen one of everything."""
    metrics = Metrics()
    metrics.requests["aws", 200] += 1
    metrics.remaining.observe(1700)
    for event in EVENTS:
        metrics.listen(event)
    return metrics


def warm(user: str = "alice", lifetime: float = 3600.0, at: float = 0.0) -> Keeper:
    rendered = a_book(a_role(session_name="j-{user}")).rendered("train", CallerFacts(caller="trainer", user=user))
    keeper = Keeper(rendered, START, lambda: 0.0)
    keeper.begin()
    keeper.minted(a_minted(keys(user), lifetime, EPOCH + at), START + at, START + at, EPOCH + at)
    return keeper


class TestScrape:
    def test_it_is_every_metric_of_the_contract_with_its_labels(self):
        """Dashboards and alerts are written against these names."""
        found: dict[str, set[str]] = {}
        for family in families(told(), warm()):
            for sample in family.samples:
                found.setdefault(sample.name.removeprefix("credbroker_"), set()).update(sample.labels)

        assert {name: labels for name, labels in found.items() if not name.endswith("_sum")} == CONTRACT

    def test_every_metric_says_what_it_is(self):
        """In words."""
        assert [family.name for family in families(told(), warm()) if not family.documentation.endswith(".")] == []

    def test_a_daemon_that_has_done_nothing_has_no_labelled_samples(self):
        """And no skew that nobody told."""
        found = samples(Metrics())

        assert ("clock_skew_seconds",) not in found
        assert found["minter_restarts_total",] == 0
        assert not [key for key in found if len(key) > 1 and not key[0].endswith("_bucket")]

    def test_scraping_twice_is_the_same_twice(self):
        """It counts nothing itself."""
        metrics = told()

        assert metrics.scrape([warm()]) == metrics.scrape([warm()])


class TestListen:
    def test_mints_are_counted_by_how_they_ended(self):
        """Minted, the same again, failed for now, denied for good."""
        found = samples(told())

        assert {key[2]: value for key, value in found.items() if key[0] == "mints_total"} == {
            "minted": 1,
            "same": 1,
            "failed": 1,
            "denied": 1,
        }
        assert found["mint_duration_seconds_count",] == 4
        assert found["mint_duration_seconds_sum",] == pytest.approx(1.0)

    def test_everything_else_is_counted_too(self):
        """By our own words, never a caller's."""
        found = samples(told())

        assert found["denied_total", "not-granted"] == 1
        assert found["stale_served_total", "train"] == 1
        assert found["upstream_calls_total", "ok", "aws-assume-role"] == 1
        assert found["minter_restarts_total",] == 1
        assert found["requests_total", "200", "aws"] == 1

    def test_the_last_told_skew_stays(self):
        """A source that does not tell takes nothing back."""
        metrics = told()
        metrics.listen(LeaseMinted("data", 1, EPOCH, 0.1, Facts()))

        assert samples(metrics)["clock_skew_seconds",] == MINTED.skew

    def test_counts_add_up(self):
        """Each is one more."""
        metrics = Metrics()
        for _ in range(3):
            metrics.listen(MinterLost("died"))
            metrics.listen(UpstreamAsked("gcp-adc", "Timeout"))

        assert samples(metrics)["upstream_calls_total", "Timeout", "gcp-adc"] == 3
        assert samples(metrics)["minter_restarts_total",] == 3


class TestLeases:
    def test_a_credential_is_one_series_however_many_callers_render_it(self):
        """Its soonest expiry, its latest refresh: 10,000 users are no 10,000 series."""
        found = samples(Metrics(), warm("alice", 900.0), warm("bob", 3600.0, at=60.0), warm("carol", 7200.0))

        assert found["lease_expiry_timestamp_seconds", "train"] == EPOCH + 900
        assert found["lease_last_refresh_timestamp_seconds", "train"] == EPOCH + 60

    def test_a_cold_one_has_no_series(self):
        """An expiry of 0 would alert."""
        cold = Keeper(warm().rendered, START, lambda: 0.0)

        assert not [key for key in samples(Metrics(), cold) if key[0].startswith("lease")]


class TestHistogram:
    def test_a_bound_belongs_to_its_bucket(self):
        """`le` is less or equal."""
        histogram = Histogram((1.0, 2.0))
        for value in (0.5, 1.0, 1.5, 2.0, 9.0):
            histogram.observe(value)

        assert histogram.buckets() == [("1.0", 2.0), ("2.0", 4.0), ("+Inf", 5.0)]
        assert histogram.total == 14.0
