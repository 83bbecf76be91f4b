"""The Databricks part of a worker's environment."""

from broker.worker_env import DatabricksGrant
from broker.worker_env.databricks import databricks_environment
from tests.worker_env.workers import ATTESTED, PATH, PLANE, variables

LAKE = DatabricksGrant(name="lake")


class TestDatabricks:
    def test_its_token_stands_in_the_path(self):
        """The SDKs have no header for one."""
        assert variables(databricks_environment(PLANE, LAKE)) == {
            "DATABRICKS_METADATA_SERVICE_URL": f"http://127.0.0.1:9911/w/{PATH}/databricks/lake",
            "DATABRICKS_AUTH_TYPE": "metadata-service",
        }

    def test_it_is_not_shown_when_it_is_printed_by_accident(self):
        """A URL with a token in it is a secret."""
        assert PATH not in repr(databricks_environment(PLANE, LAKE))

    def test_without_tokens_the_path_has_none(self):
        """For callers with `bare = true`."""
        url = variables(databricks_environment(ATTESTED, LAKE))["DATABRICKS_METADATA_SERVICE_URL"]

        assert url == "http://127.0.0.1:9911/databricks/lake"

    def test_what_would_be_taken_before_it_is_unset(self):
        """The design's two, and a profile of the user's."""
        unset = set(databricks_environment(PLANE, LAKE).unset)

        assert {"DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET", "DATABRICKS_CONFIG_PROFILE"} <= unset
