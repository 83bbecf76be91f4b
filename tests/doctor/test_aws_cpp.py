"""The C++ SDK's chain; `tests/clients/test_doctor.py` holds it against pyarrow."""

from broker.doctor.aws_cpp import CHAIN
from broker.doctor.chain import OK, winner
from tests.doctor.made import AWS_WORKER, CONFIG, CREDENTIALS, HOME, KEYS, aws_file, facts


class TestChain:
    def test_a_workers_environment_leads_to_the_broker(self):
        """With nothing else about."""
        assert winner(CHAIN, facts(AWS_WORKER)).verdict == OK

    def test_half_a_key_is_passed_over(self):
        """Unlike botocore, which fails on it."""
        assert winner(CHAIN, facts(AWS_WORKER | {"AWS_ACCESS_KEY_ID": "x"})).verdict == OK

    def test_keys_of_the_profile_come_before_the_container(self):
        """The one that shadows most often."""
        assert winner(CHAIN, facts(AWS_WORKER, aws_files=(aws_file(CREDENTIALS, *KEYS),))).provider == "profile"

    def test_a_session_counts_only_after_a_login(self):
        """Without one this chain goes on to the container."""
        files = (aws_file(CONFIG, "sso_session"),)
        login = frozenset({f"{HOME}/.aws/sso/cache/0123.json"})

        assert winner(CHAIN, facts(AWS_WORKER, aws_files=files)).verdict == OK
        assert winner(CHAIN, facts(AWS_WORKER, aws_files=files, files=login)).provider == "sso"
