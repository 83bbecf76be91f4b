"""Clients ask when their SDKs do."""

import pytest

from tests.simulator.fair import days
from tests.simulator.peers import AwsVault, Ours
from tests.simulator.sdks import SDKS, Client, Sdk

BY_NAME = {sdk.name: sdk for sdk in SDKS}


class TestWindows:
    @pytest.mark.parametrize(
        ("name", "handed", "window"),
        [
            ("botocore, .NET", 3600, 900),
            ("Java v2", 10_000, 3600),
            ("Java v2", 3600, 900),
            ("Java v2", 900, 300),
            ("minio-go", 3600, 720),
            ("polars (Google)", 3600, 0),
        ],
    )
    def test_each_asks_under_its_own(self, name: str, handed: float, window: float):
        """As `protocols` found them in the sources."""
        sdk = BY_NAME[name]

        assert sdk.asks(window - 1, handed)
        assert not sdk.asks(window + 1, handed)


class TestClient:
    def test_it_keeps_what_it_has_until_its_window(self):
        """And counts what it was handed, refused, and used too late."""
        client = Client(Sdk("ten minutes", lambda _: 600.0))
        assert client.needs(0)

        client.got(0, 3600)
        assert (client.needs(2999), client.needs(3001)) == (False, True)

        client.got(3001, None)
        client.uses(3599)
        client.uses(3600)

        assert (client.requests, client.refused, client.used_dead, client.least) == (2, 1, 1, 3600)


class TestDays:
    def test_ours_hands_out_half_a_life_at_least(self):
        """To every SDK, in good weather, and nobody is refused."""
        found = days(Ours, 3600, 1, seed=3)

        assert min(found.least.values()) >= 1800
        assert (found.refused, found.used_dead) == (0, 0)
        assert 48 < found.calls_a_day < 54

    def test_one_without_a_margin_hands_out_what_is_over(self):
        """As good as."""
        assert min(days(AwsVault, 3600, 1, seed=3).least.values()) < 15
