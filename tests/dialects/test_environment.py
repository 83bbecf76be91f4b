"""A lease as environment variables."""

import msgspec
import pytest

from broker.dialects import environment
from broker.errors import Refused
from broker.model import AzureToken, DatabricksToken, Facts, Files, Variables, Want
from broker.secret import Secret
from tests.dialects.leases import EXPIRES_TEXT, REQUEST_ID, a_lease, a_request, access_token, decoded, id_token, keys

AWS = {"AWS_ACCESS_KEY_ID": "ASIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret/key+", "AWS_SESSION_TOKEN": "session"}
GOOGLE = {"CLOUDSDK_AUTH_ACCESS_TOKEN": "ya29.token", "GOOGLE_OAUTH_ACCESS_TOKEN": "ya29.token"}


class TestParse:
    def test_a_name_is_a_credential_of_any_kind(self):
        """The kind decides which variables there are."""
        assert environment.parse(a_request("/env/train")) == Want(None, "train")

    @pytest.mark.parametrize("path", ["/env", "/env/", "/env/a/", "/env/a/b", "/aws", "/"])
    def test_anything_else_is_no_path_of_ours(self, path: str):
        """There is no first of no kind."""
        assert environment.parse(a_request(path)) is None


class TestVariables:
    def test_aws_keys(self):
        """The three that every SDK reads."""
        assert environment.variables(a_lease(keys())) == AWS

    def test_a_region_that_is_known_goes_along(self):
        """boto3 reads one name, the other SDKs the other."""
        region = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}

        assert environment.variables(a_lease(keys(), Facts(region="eu-west-1"))) == AWS | region

    def test_a_store_without_session_tokens_sets_none(self):
        """Some clients would send an empty one."""
        assert "AWS_SESSION_TOKEN" not in environment.variables(a_lease(keys(session_token="")))

    def test_a_google_token(self):
        """For gcloud and for Terraform."""
        assert environment.variables(a_lease(access_token("openid"))) == GOOGLE

    def test_projects_that_are_known_go_along(self):
        """The quota project is a header, not part of a token: workers need the variable."""
        facts = Facts(project="my-project", quota_project="billed")

        assert environment.variables(a_lease(access_token(), facts)) == GOOGLE | {
            "GOOGLE_CLOUD_PROJECT": "my-project",
            "GOOGLE_CLOUD_QUOTA_PROJECT": "billed",
        }

    def test_what_belongs_into_files_stands_in_variables(self):
        """Oracle's SDK takes either, and a program that ends before the lease needs no files."""
        assert environment.variables(a_lease(Files((("OCI_RPST", Secret("t")),)))) == {"OCI_RPST": "t"}

    def test_an_id_token_has_none(self):
        """It is for one audience and no credential of its own."""
        with pytest.raises(Refused, match="has no variables"):
            environment.variables(a_lease(id_token()))

    @pytest.mark.parametrize(
        ("resource", "variable"),
        [
            ("https://storage.azure.com", "AZURE_STORAGE_TOKEN"),
            ("https://storage.azure.com/", "AZURE_STORAGE_TOKEN"),
            ("https://vault.azure.net", "AZURE_ACCESS_TOKEN"),
        ],
    )
    def test_an_azure_token_stands_where_object_store_looks(self, resource: str, variable: str):
        """One for another resource under a name that no client takes for a storage token."""
        assert environment.variables(a_lease(AzureToken(Secret("eyJ"), resource))) == {variable: "eyJ"}

    def test_a_databricks_token_goes_with_its_workspace(self):
        """It is good nowhere else."""
        assert environment.variables(a_lease(DatabricksToken(Secret("eyJ"), "https://dbc-1.example"))) == {
            "DATABRICKS_HOST": "https://dbc-1.example",
            "DATABRICKS_TOKEN": "eyJ",
        }

    def test_secrets_of_any_kind_stand_under_their_names(self):
        """As `private-env` gives them."""
        lease = a_lease(Variables((("WANDB_API_KEY", Secret("w")), ("hf_token", Secret("h")))))

        assert environment.variables(lease) == {"WANDB_API_KEY": "w", "hf_token": "h"}

    def test_what_travels_with_a_lease_has_the_last_word(self):
        """A user may know the region better than the source does."""
        lease = msgspec.structs.replace(
            a_lease(keys(), Facts(region="eu-west-1")), settings=(("AWS_REGION", "us-east-1"), ("S3_CANNED_ACL", "x"))
        )

        found = environment.variables(lease)

        assert (found["AWS_REGION"], found["AWS_DEFAULT_REGION"], found["S3_CANNED_ACL"]) == (
            "us-east-1",
            "eu-west-1",
            "x",
        )


class TestRender:
    def test_it_is_one_flat_object_with_the_expiry_beside(self):
        """A program that starts others can tell when it must ask again."""
        reply = environment.render(a_request("/env/train"), a_lease(keys()), 9.0)

        assert decoded(reply) == AWS | {"expires_at": EXPIRES_TEXT}


class TestRefuse:
    def test_it_is_flat_json(self):
        """The shape of what has none of its own."""
        assert (
            decoded(environment.refuse(Refused(403, "AccessDenied", "not granted"), REQUEST_ID))["error"]
            == "AccessDenied"
        )
