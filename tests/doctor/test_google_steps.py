"""Steps of several Google chains."""

from broker.doctor.google_steps import gcloud_adc, metadata_host, named_file
from tests.doctor.made import ADC, GOOGLE_WORKER, facts


class TestSteps:
    def test_a_named_file_counts_even_where_it_is_not(self):
        """Clients fail on it instead of going on; they say so in many ways, and we in one."""
        found = named_file(facts({"GOOGLE_APPLICATION_CREDENTIALS": "/gone"}))

        assert found is not None
        assert "not there" in found.why

    def test_gclouds_folder_hides_the_adc_file_when_it_moves(self):
        """What a worker's environment does."""
        files = frozenset({ADC})

        assert gcloud_adc(facts(files=files)) is not None
        assert gcloud_adc(facts({"CLOUDSDK_CONFIG": "/empty"}, files=files)) is None

    def test_the_first_variable_that_is_set_decides(self):
        """One that leads elsewhere is no broker."""
        asks = metadata_host("GCE_METADATA_HOST", "GCE_METADATA_ROOT")
        ours, other = asks(facts(GOOGLE_WORKER)), asks(facts(GOOGLE_WORKER | {"GCE_METADATA_HOST": "10.0.0.1"}))

        assert ours is not None
        assert ours.broker
        assert other is not None
        assert not other.broker

    def test_a_path_token_is_not_told(self):
        """The output may be pasted into a ticket."""
        assert "cbp_" not in repr(metadata_host("GCE_METADATA_HOST")(facts(GOOGLE_WORKER)))

    def test_the_machines_own_server_counts_where_it_is_reached(self):
        """Only where no variable says otherwise."""
        asks = metadata_host("GCE_METADATA_HOST")

        assert asks(facts()) is None
        assert asks(facts(reachable=frozenset({"169.254.169.254"}))) is not None
