"""What looks like a pod's token is taken for one."""

import pytest

from broker.callers.match import Bad, PathToken, ProjectedToken
from tests.callers.test_match import PATH, shown
from tests.fakes.cluster import FakeCluster

CLUSTER = FakeCluster()
TOKEN = CLUSTER.token(CLUSTER.run("ml", "trainer"), "credbroker")


class TestProjected:
    @pytest.mark.parametrize("value", [TOKEN, f"Bearer {TOKEN}", "a.b.c"])
    @pytest.mark.parametrize("path", ["/aws", "/worker-token", "/computeMetadata/v1/", "/"])
    def test_a_token_is_shown_raw_or_as_a_bearer(self, path: str, value: str):
        """AWS's SDKs send the file's content as it is; whether it is any good is another question."""
        assert shown(path, authorization=value) == ProjectedToken(value.removeprefix("Bearer "))

    def test_a_path_token_decides_before_it(self):
        """As before any other header."""
        seen = shown(f"/w/{PATH}/computeMetadata/v1/", authorization=TOKEN)

        assert seen == PathToken(PATH, ("computeMetadata", "v1", ""))

    @pytest.mark.parametrize("value", [f"{TOKEN}.x", f"{TOKEN}=", TOKEN.rpartition(".")[0], f"{TOKEN}{'x' * 16_384}"])
    def test_what_does_not_look_like_one_is_bad(self, value: str):
        """Never the uid instead."""
        assert isinstance(shown("/aws", authorization=value), Bad)

    def test_it_is_not_shown(self):
        """Whoever has it is the pod."""
        assert repr(ProjectedToken(TOKEN)) == "ProjectedToken(...)"
