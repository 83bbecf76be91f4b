"""rclone's remotes, and the Go SDKs behind them."""

from broker.doctor.chain import OK, SHADOWED, winner
from broker.doctor.facts import Remote
from broker.doctor.rclone import AWS, GCS, GOOGLE, S3
from tests.doctor.made import ADC, AWS_WORKER, CONFIG, GOOGLE_WORKER, aws_file, facts


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

    def test_go_takes_the_full_uri_first(self):
        """Unlike nearly everybody else."""
        both = AWS_WORKER | {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"}
        relative = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"}

        assert winner(AWS, facts(both)).verdict == OK
        assert winner(AWS, facts(relative)).verdict == SHADOWED

    def test_a_role_in_the_profile_needs_no_source(self):
        """It is assumed with whatever else is found, the broker's lease included."""
        found = winner(AWS, facts(AWS_WORKER, aws_files=(aws_file(CONFIG, "role_arn"),)))

        assert (found.provider, found.verdict) == ("profile", SHADOWED)

    def test_go_looks_for_the_adc_file_below_home(self):
        """It knows no CLOUDSDK_CONFIG."""
        given = GOOGLE_WORKER | {"CLOUDSDK_CONFIG": "/empty"}

        assert winner(GOOGLE, facts(given, files=frozenset({ADC}))).provider == "ADC file"
