"""Steps of several AWS chains."""

import pytest

from broker.doctor.aws_steps import (
    container,
    container_with_file,
    in_config,
    instance,
    instance_whatever_is_said,
    keys_in,
    profile_name,
)  # fmt: skip
from tests.doctor.made import AWS_WORKER, CONFIG, CREDENTIALS, KEYS, aws_file, facts

URI, RELATIVE = "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"


class TestProfile:
    def test_the_environment_chooses_it(self):
        """AWS_PROFILE before its older name."""
        assert profile_name(facts()) == "default"
        assert profile_name(facts({"AWS_DEFAULT_PROFILE": "old"})) == "old"
        assert profile_name(facts({"AWS_DEFAULT_PROFILE": "old", "AWS_PROFILE": "new"})) == "new"

    def test_keys_count_only_in_the_profile_that_is_used(self):
        """Another one's shadow nothing."""
        found = facts(aws_files=(aws_file(CREDENTIALS, *KEYS, name="other"),))

        assert keys_in(lambda one: one.credentials_path)(found) is None

    def test_what_is_needed_may_stand_in_either_file(self):
        """SDKs merge them; the file of the first is named."""
        found = in_config("role_arn", "source_profile")(
            facts(aws_files=(aws_file(CONFIG, "role_arn"), aws_file(CREDENTIALS, "source_profile")))
        )

        assert found is not None
        assert CONFIG in found.why


class TestContainer:
    def test_the_worker_plane_is_the_broker(self):
        """By its address, whatever the path."""
        found = container(facts(AWS_WORKER))

        assert found is not None
        assert found.broker

    @pytest.mark.parametrize("uri", ["http://169.254.170.23/v1/credentials", "http://127.0.0.1:9912/aws", "", "x:y"])
    def test_any_other_address_is_not(self, uri: str):
        """Such as a pod identity agent, or a port that a stranger holds."""
        found = container(facts({URI: uri}))

        assert found is not None
        assert not found.broker

    def test_the_relative_uri_wins_over_ours(self):
        """It leads to the task's role."""
        found = container(facts(AWS_WORKER | {RELATIVE: "/v2/x"}))

        assert found is not None
        assert (found.broker, found.remedy) == (False, f"unset {RELATIVE}")

    def test_rust_needs_the_tokens_file(self):
        """Without it the URI is passed over in silence."""
        assert container_with_file(facts({URI: AWS_WORKER[URI]})) is None
        assert container_with_file(facts(AWS_WORKER)) == container(facts(AWS_WORKER))


class TestInstance:
    def test_only_one_that_is_reached_counts(self):
        """Else the client would find nothing there."""
        assert instance(facts()) is None
        assert instance(facts(reachable=frozenset({"169.254.170.2"}))) is None
        assert instance(facts(reachable=frozenset({"fd00:ec2::254"}))) is not None

    def test_the_firewall_is_the_remedy(self):
        """A variable helps one client, a rule all of them."""
        found = instance(facts(reachable=frozenset({"169.254.169.254"})))

        assert found is not None
        assert "firewall" in found.remedy

    def test_some_may_be_told_not_to_ask(self):
        """Those in Rust may not."""
        told = facts({"AWS_EC2_METADATA_DISABLED": "TRUE"}, reachable=frozenset({"169.254.169.254"}))

        assert instance(told) is None
        assert instance_whatever_is_said(told) is not None

    def test_an_endpoint_of_ones_own_counts_unreached(self):
        """Where it leads is not looked at."""
        assert instance(facts({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://x"})) is not None
