"""rclone's remotes, and the Go SDKs behind them."""

from broker.doctor.chain import OK, winner
from broker.doctor.facts import Remote
from broker.doctor.rclone import AWS, GCS, GOOGLE, S3
from tests.doctor.made import ADC, AWS_WORKER, GOOGLE_WORKER, facts


class TestRemotes:
    def test_a_remote_with_keys_uses_them(self):
        """Whatever the environment says."""
        remote = Remote("lake", S3, env_auth=False, keys=frozenset({"access_key_id", "type"}))
        found = winner(AWS, facts(AWS_WORKER, remotes=(remote,)))

        assert (found.provider, "lake" in found.why) == ("remote", True)

    def test_one_that_asks_the_environment_comes_to_the_broker(self):
        """`env_auth = true`."""
        remote = Remote("lake", S3, env_auth=True, keys=frozenset({"env_auth", "type"}))

        assert winner(AWS, facts(AWS_WORKER, remotes=(remote,))).verdict == OK

    def test_a_remote_of_another_cloud_says_nothing(self):
        """Each cloud has its own row."""
        remote = Remote("lake", GCS, env_auth=False, keys=frozenset({"token"}))

        assert winner(AWS, facts(AWS_WORKER, remotes=(remote,))).verdict == OK
        assert winner(GOOGLE, facts(GOOGLE_WORKER, remotes=(remote,))).provider == "remote"

    def test_go_looks_for_the_adc_file_below_home(self):
        """It knows no CLOUDSDK_CONFIG."""
        given = GOOGLE_WORKER | {"CLOUDSDK_CONFIG": "/empty"}

        assert winner(GOOGLE, facts(given, files=frozenset({ADC}))).provider == "ADC file"
