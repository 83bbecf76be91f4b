"""A worker's environment that can be undone."""

import json

import pytest

from broker.worker_env import Worker, applied, unwrapped, worker_environment
from tests.worker_env.workers import AWS, GOOGLE, PATH, PLANE, WORKER

USER = {
    "PATH": "/usr/bin",
    "HOME": "/home/ann",
    "AWS_PROFILE": "prod",
    "AWS_CONFIG_FILE": "/home/ann/aws",
    "AWS_REGION": "us-east-1",
    "GOOGLE_APPLICATION_CREDENTIALS": "/home/ann/adc.json",
    "CLOUDSDK_CONFIG": "/home/ann/gcloud",
}


def worked(worker: Worker, environ: dict[str, str]) -> dict[str, str]:
    """The environment of a worker, as exec gives it."""
    return applied(worker_environment(worker, environ), unwrapped(environ))


def bypassing(environ: dict[str, str]) -> dict[str, str]:
    """What stays of a worker's environment on purpose: a proxy must not stand before any broker."""
    return environ | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


class TestUndone:
    @pytest.mark.parametrize("home", [None, "/run/w/home"])
    def test_a_user_gets_his_own_environment_back(self, home: str | None):
        """The inner broker begins where the outer one did, with the same profile and files."""
        inner = worked(Worker(plane=PLANE, aws=AWS, google=GOOGLE, private_home=home), USER)

        assert unwrapped(inner) == bypassing(USER)

    def test_a_worker_within_a_worker_is_the_same_as_one_outside(self):
        """`exec -- credbroker exec --`: nothing of the outer one shows."""
        outer = worked(Worker(plane=PLANE, aws=AWS, google=GOOGLE, private_home="/run/w/home"), USER)

        assert worked(WORKER, outer) == worked(WORKER, bypassing(USER))

    def test_a_cloud_that_the_inner_one_leaves_alone_is_the_users_again(self):
        """`--without aws` inside an exec that had AWS: nothing set, nothing unset."""
        inner = worked(Worker(plane=PLANE, google=GOOGLE), worked(WORKER, USER))

        assert inner["AWS_PROFILE"] == "prod"
        assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" not in inner

    @pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"PATH": 7}'])
    def test_what_is_not_ours_is_let_go(self, text: str):
        """Somebody may have set it."""
        assert unwrapped({"HOME": "/home/ann", "CREDBROKER_OUTER": text}) == {"HOME": "/home/ann"}

    def test_what_is_no_utf8_survives(self):
        """Paths are bytes."""
        user = USER | {"AWS_CONFIG_FILE": "/home/caf\udce9/aws"}

        assert unwrapped(worked(WORKER, user)) == bypassing(user)


class TestNotRemembered:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("AWS_ACCESS_KEY_ID", "AKIACANARY"),
            ("AWS_SECRET_ACCESS_KEY", "canary"),
            ("AWS_SESSION_TOKEN", "canary"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary"),
            ("CLOUDSDK_AUTH_ACCESS_TOKEN", "ya29.canary"),
            ("GOOGLE_SERVICE_ACCOUNT_KEY", "canary"),
            ("GCS_SECRET", "canary"),
            ("GCE_METADATA_HOST", f"127.0.0.1:4000/w/{PATH}canary"),
        ],
    )
    def test_no_secret_is_kept(self, name: str, value: str):
        """What was taken out of the environment stays out of it."""
        assert "canary" not in json.dumps(worked(WORKER, USER | {name: value})).lower()

    @pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_CONTAINER_AUTHORIZATION_TOKEN"])
    def test_where_keys_were_lost_the_outer_lease_stays_the_identity(self, name: str):
        """Not the profile that happens to stand in a file: that would be another identity in silence."""
        back = unwrapped(worked(WORKER, USER | {name: "lost"}))

        assert back["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1:9911/aws/train"
        assert back["AWS_CONFIG_FILE"] == f"{PLANE.folder}/aws-config"
        assert "AWS_PROFILE" not in back
        assert back["CREDBROKER_WORKER"] == "http://127.0.0.1:9911"
        assert back["GOOGLE_APPLICATION_CREDENTIALS"] == "/home/ann/adc.json"

    def test_an_empty_key_is_no_identity(self):
        """Scripts set them so to be rid of them."""
        assert unwrapped(worked(WORKER, USER | {"AWS_ACCESS_KEY_ID": ""}))["AWS_PROFILE"] == "prod"
