"""object_store's chains; `tests/clients/test_doctor.py` holds them against obstore and polars."""

import pytest

from broker.doctor.chain import NONE, OK, SHADOWED, winner
from broker.doctor.object_store import AWS, GOOGLE, POLARS_AWS
from tests.doctor.made import ADC, AWS_WORKER, CREDENTIALS, GOOGLE_WORKER, KEYS, aws_file, facts

REACHED = frozenset({"169.254.169.254"})


class TestAws:
    def test_it_reads_no_aws_files(self):
        """But polars does, whatever the profile's name, and no variable moves that."""
        moved = AWS_WORKER | {"AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        found = facts(moved, aws_files=(aws_file(CREDENTIALS, *KEYS, name="any"),))

        assert winner(AWS, found).verdict == OK
        assert winner(POLARS_AWS, found).provider == "~/.aws/credentials"
        assert "--private-home" in str(winner(POLARS_AWS, found).remedy)

    def test_without_the_tokens_file_it_goes_to_the_instance(self):
        """Even where it is told not to ask there, and even where nobody is."""
        given = {name: value for name, value in AWS_WORKER.items() if not name.endswith("_FILE")}
        told = given | {"AWS_EC2_METADATA_DISABLED": "true"}

        assert winner(AWS, facts(told, reachable=REACHED)).verdict == SHADOWED
        assert "TOKEN_FILE" in winner(AWS, facts(told)).why

    def test_nothing_is_none(self):
        """No variable, nobody there."""
        assert winner(AWS, facts()).verdict == NONE


class TestGoogle:
    def test_the_adc_file_below_home_beats_the_broker(self):
        """CLOUDSDK_CONFIG does not hide it."""
        found = winner(GOOGLE, facts(GOOGLE_WORKER | {"CLOUDSDK_CONFIG": "/empty"}, files=frozenset({ADC})))

        assert found.provider == "ADC file"
        assert "--private-home" in str(found.remedy)

    @pytest.mark.parametrize("name", ["GOOGLE_SERVICE_ACCOUNT", "SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY"])
    def test_names_of_its_own_come_first(self, name: str):
        """So a worker's environment unsets them."""
        assert winner(GOOGLE, facts(GOOGLE_WORKER | {name: "x"})).remedy == f"unset {name}"

    def test_a_workers_environment_leads_to_the_broker(self):
        """With an empty home."""
        assert winner(GOOGLE, facts(GOOGLE_WORKER)).verdict == OK
