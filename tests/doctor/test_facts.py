"""Where clients look, as the environment says."""

from broker.doctor.facts import AwsFile, Profile
from tests.doctor.made import CONFIG, CREDENTIALS, aws_file, facts


class TestFacts:
    def test_aws_files_are_below_home_unless_they_are_moved(self):
        """As every AWS SDK has it."""
        moved = facts({"AWS_CONFIG_FILE": "~/c", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"})

        assert (facts().config_path, facts().credentials_path) == (CONFIG, CREDENTIALS)
        assert (moved.config_path, moved.credentials_path) == ("/home/alice/c", "/dev/null")

    def test_gclouds_folder_moves_and_the_home_adc_does_not(self):
        """That is why one of them shadows and the other is covered."""
        moved = facts({"CLOUDSDK_CONFIG": "/empty"})

        assert moved.gcloud_folder == "/empty"
        assert moved.home_adc == facts().home_adc

    def test_other_clouds_files_move_too(self):
        """As their own tools move them."""
        moved = facts({"AZURE_CONFIG_DIR": "~/az", "DATABRICKS_CONFIG_FILE": "/d"})

        assert (facts().azure_profile, moved.azure_profile) == (
            "/home/alice/.azure/azureProfile.json", "/home/alice/az/azureProfile.json",
        )  # fmt: skip
        assert (facts().databricks_path, moved.databricks_path) == ("/home/alice/.databrickscfg", "/d")

    def test_a_workers_folder_is_where_its_token_lies(self):
        """No other variable names it."""
        assert facts({"CREDBROKER_WORKER_TOKEN_FILE": "/run/w/token"}).worker_folder == "/run/w"
        assert facts().worker_folder is None

    def test_a_file_that_was_not_found_is_empty(self):
        """No step asks whether it is there."""
        assert facts().aws_file("/x").keys("default") == frozenset()

    def test_a_profile_that_comes_twice_has_the_keys_of_both(self):
        """As the SDKs merge them."""
        file = AwsFile("/x", (Profile("a", frozenset({"region"})), Profile("a", frozenset({"role_arn"}))))

        assert file.keys("a") == {"region", "role_arn"}
        assert aws_file("/x", "region").keys("a") == frozenset()
