"""Which clients are there, and which chain each follows."""

from broker.doctor.clients import CLIENTS, Client
from tests.doctor.made import ADC, AWS_WORKER, GOOGLE_WORKER, facts


def client(name: str, cloud: str = "aws") -> Client:
    return next(one for one in CLIENTS if (one.name, one.cloud) == (name, cloud))


class TestClients:
    def test_one_is_found_by_distribution_or_command(self):
        """A row for what is not there would be noise."""
        assert [one.name for one in CLIENTS if one.is_there(facts())] == []
        assert client("s3fs").is_there(facts(distributions=frozenset({"aiobotocore"})))
        assert client("gcloud", "gcp").is_there(facts(commands=frozenset({"gcloud"})))

    def test_a_client_stands_once_for_each_cloud(self):
        """Its row is known by both."""
        assert len({(one.name, one.cloud) for one in CLIENTS}) == len(CLIENTS)

    def test_polars_asks_the_sdk_that_is_beside_it(self):
        """Where there is none, what it has inside."""
        files = frozenset({ADC})
        given = AWS_WORKER | GOOGLE_WORKER | {"CLOUDSDK_CONFIG": "/empty"}
        alone, beside = (facts(given, files=files, distributions=frozenset(d)) for d in ({"polars"}, {"google-auth"}))

        assert client("polars", "gcp").prediction(alone).provider == "ADC file"
        assert client("polars", "gcp").prediction(beside).provider == "metadata server"
