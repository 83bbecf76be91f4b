"""Google's own clients; `tests/clients/test_doctor.py` holds them against google-auth, gcsfs and pyarrow."""

from broker.doctor.chain import NONE, OK, SHADOWED, winner
from broker.doctor.google import AUTH, CPP, GCLOUD
from tests.doctor.made import ADC, GOOGLE_WORKER, facts

TOKEN = "CLOUDSDK_AUTH_ACCESS_TOKEN"


class TestAuth:
    def test_a_workers_environment_leads_to_the_broker(self):
        """The ADC file is covered by CLOUDSDK_CONFIG."""
        given = GOOGLE_WORKER | {"CLOUDSDK_CONFIG": "/empty"}

        assert winner(AUTH, facts(given, files=frozenset({ADC}))).verdict == OK

    def test_it_may_be_told_not_to_ask(self):
        """Then nothing is left."""
        assert winner(AUTH, facts(GOOGLE_WORKER | {"NO_GCE_CHECK": "true"})).verdict == NONE

    def test_all_three_addresses_are_needed(self):
        """It asks GCE_METADATA_IP whether there is a server at all."""
        given = {name: value for name, value in GOOGLE_WORKER.items() if name != "GCE_METADATA_IP"}

        assert winner(AUTH, facts(given)).verdict == SHADOWED


class TestCpp:
    def test_it_knows_a_variable_of_its_own(self):
        """CLOUDSDK_CONFIG hides nothing from it."""
        files = frozenset({ADC})
        covered = GOOGLE_WORKER | {"GOOGLE_GCLOUD_ADC_PATH_OVERRIDE": "/empty/none.json"}

        assert winner(CPP, facts(GOOGLE_WORKER | {"CLOUDSDK_CONFIG": "/empty"}, files=files)).provider == "ADC file"
        assert winner(CPP, facts(covered, files=files)).verdict == OK

    def test_it_asks_at_the_root_alone(self):
        """GCE_METADATA_HOST is nothing to it."""
        assert winner(CPP, facts({"GCE_METADATA_HOST": "127.0.0.1:9911"})).verdict == NONE


class TestGcloud:
    def test_the_lease_of_now_is_the_brokers(self):
        """As `exec` gives it."""
        assert winner(GCLOUD, facts({TOKEN: "x"}, lease_variables=frozenset({TOKEN}))).verdict == OK

    def test_the_variable_comes_before_its_fresh_file(self):
        """It goes stale with its lease."""
        found = winner(
            GCLOUD, facts({TOKEN: "old", f"{TOKEN}_FILE": "/f"}, lease_variables=frozenset({f"{TOKEN}_FILE"}))
        )

        assert (found.provider, found.remedy) == ("access token", f"unset {TOKEN}")

    def test_a_login_comes_before_the_metadata_server(self):
        """An empty folder has none."""
        login = frozenset({"/home/alice/.config/gcloud/credentials.db"})

        assert winner(GCLOUD, facts(GOOGLE_WORKER, files=login)).provider == "login"
        assert winner(GCLOUD, facts(GOOGLE_WORKER | {"CLOUDSDK_CONFIG": "/empty"}, files=login)).verdict == OK
