"""The Google part of a worker's environment."""

import msgspec
import pytest

from broker.worker_env import GoogleGrant, token_file
from broker.worker_env.google import google_environment
from tests.worker_env.workers import ACCESS, ATTESTED, FOLDER, GOOGLE, PLANE, files, variables

TOKEN = "CLOUDSDK_AUTH_ACCESS_TOKEN"
TOKEN_FILE = "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"


class TestMetadataServer:
    def test_an_attested_worker_needs_no_path(self):
        """Node's library drops a path; the kernel knows the uid."""
        told = variables(google_environment(ATTESTED, GOOGLE))

        assert {told[name] for name in told if name.startswith("GCE_METADATA_") and "MTLS" not in name} == {
            "127.0.0.1:9911"
        }

    def test_projects_are_set_where_they_are_known(self):
        """A user's own stays otherwise: it is no credential."""
        told = google_environment(PLANE, GoogleGrant()).names()

        assert not {"GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT"} & set(told)


class TestAccessToken:
    def test_the_file_holds_the_token_of_now(self):
        """It is there before the command starts, and kept fresh from then on."""
        assert files(google_environment(PLANE, GOOGLE)) == {token_file(PLANE): ACCESS}
        assert token_file(PLANE) == f"{FOLDER}/google-token"

    @pytest.mark.parametrize(
        ("changes", "set_"),
        [
            ({}, {TOKEN, TOKEN_FILE}),
            ({"token_in_variable": False}, {TOKEN_FILE}),  # --no-token-env
            ({"token_in_file": False}, {TOKEN}),  # `env`: nobody keeps it fresh
            ({"access_token": None}, set()),
        ],
    )
    def test_what_is_not_given_does_not_come_from_outside_either(self, changes: dict[str, object], set_: set[str]):
        """A user's own token in the environment would win."""
        grant = msgspec.structs.replace(GOOGLE, **changes)
        environment = google_environment(PLANE, grant)

        assert {TOKEN, TOKEN_FILE} & variables(environment).keys() == set_
        assert {TOKEN, TOKEN_FILE} & set(environment.unset) == {TOKEN, TOKEN_FILE} - set_
        assert bool(files(environment)) == (TOKEN_FILE in set_)
