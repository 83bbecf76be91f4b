"""databricks-sdk; `tests/clients/test_doctor_others.py` holds it against the SDK."""

import pytest

from broker.doctor.chain import NONE, OK, SHADOWED, winner
from broker.doctor.databricks import CHAIN
from tests.doctor.made import HOME, PLANE, aws_file, facts

FILE = f"{HOME}/.databrickscfg"
HOST = {"DATABRICKS_HOST": "https://lake.example"}
SERVICE = HOST | {"DATABRICKS_METADATA_SERVICE_URL": f"http://{PLANE}/w/cbp_x/databricks/lake"}
WORKER = SERVICE | {"DATABRICKS_AUTH_TYPE": "metadata-service"}
DEFAULT = (aws_file(FILE, "host", "token", name="DEFAULT"),)


class TestChain:
    def test_a_workers_environment_leads_to_the_broker(self):
        """Whatever else is there: the type is told."""
        given = WORKER | {"DATABRICKS_TOKEN": "his", "DATABRICKS_CLIENT_ID": "his", "DATABRICKS_CLIENT_SECRET": "his"}

        assert winner(CHAIN, facts(given, aws_files=DEFAULT)).verdict == OK

    @pytest.mark.parametrize(
        ("given", "provider", "verdict"),
        [
            (SERVICE, "metadata-service", OK),
            (SERVICE | {"DATABRICKS_TOKEN": "his"}, "error", SHADOWED),
            (SERVICE | {"GOOGLE_CREDENTIALS": "his"}, "error", SHADOWED),
            (HOST | {"DATABRICKS_TOKEN": "his"}, "pat", SHADOWED),
            (WORKER | {"DATABRICKS_TOKEN": "his", "DATABRICKS_AUTH_TYPE": "pat"}, "pat", SHADOWED),
            (HOST | {"DATABRICKS_USERNAME": "his", "DATABRICKS_PASSWORD": "his"}, "basic", SHADOWED),
            (HOST | {"DATABRICKS_CLIENT_ID": "his", "DATABRICKS_CLIENT_SECRET": "his"}, "oauth-m2m", SHADOWED),
            (WORKER | {"DATABRICKS_METADATA_SERVICE_URL": "http://127.0.0.1:1"}, "metadata-service", SHADOWED),
            (WORKER | {"DATABRICKS_HOST": ""}, None, NONE),
            (HOST, None, NONE),
        ],
    )
    def test_each_variable_counts_as_the_sdk_counts_it(self, given: dict[str, str], provider: str, verdict: str):
        """Two ways at once fail where no type is told."""
        found = winner(CHAIN, facts(given))

        assert (found.provider, found.verdict) == (provider, verdict)

    def test_two_ways_are_mended_by_leaving_the_others(self):
        """Never the broker's own."""
        assert winner(CHAIN, facts(SERVICE | {"DATABRICKS_TOKEN": "his"})).remedy == "unset DATABRICKS_TOKEN"

    def test_the_file_is_read_where_nothing_is_told(self):
        """Or where a profile is named, which it must then have."""
        named = WORKER | {"DATABRICKS_CONFIG_PROFILE": "none"}

        assert winner(CHAIN, facts(aws_files=DEFAULT)).provider == "profile"
        assert winner(CHAIN, facts(HOST, aws_files=DEFAULT)).verdict == NONE
        assert winner(CHAIN, facts(named, aws_files=DEFAULT)).provider == "error"
        assert winner(CHAIN, facts(named)).verdict == OK
