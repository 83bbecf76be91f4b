"""The fake API server refuses as the real one does."""

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fakes.cluster import ISSUER, FakeCluster, Running
from tests.fakes.kubernetes import DISCOVERY, JWKS, REVIEW, FakeKubernetes

REVIEWER = "system:serviceaccount:credbroker:credbroker"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeKubernetes]:
    with FakeKubernetes(tmp_path) as found:
        yield found


@pytest.fixture
def pod(api: FakeKubernetes) -> Running:
    return api.cluster.run("ml", "trainer")


def asked(
    api: FakeKubernetes, path: str, body: Any = None, *, bearer: str | None = None, kind: str = "application/json"
) -> tuple[int, Any]:
    """One request by TLS, as the broker's own service account unless told."""
    token = api.token_file.read_text() if bearer is None else bearer
    fields = {"Authorization": f"Bearer {token}", "Content-Type": kind}
    request = urllib.request.Request(
        api.url + path,
        None if body is None else msgspec.json.encode(body),
        fields,
        method="GET" if body is None else "POST",
    )
    context = ssl.create_default_context(cafile=str(api.ca_file))
    try:
        with urllib.request.urlopen(request, context=context, timeout=5) as answer:
            return answer.status, msgspec.json.decode(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, msgspec.json.decode(error.read())


def review(api: FakeKubernetes, token: str, *audiences: str) -> dict[str, Any]:
    spec = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
    status, body = asked(api, REVIEW, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec})
    assert (status, body["kind"]) == (201, "TokenReview")
    found: dict[str, Any] = body["status"]
    return found


class TestReview:
    def test_names_the_pod_of_a_token_and_the_audiences_in_common(self, api: FakeKubernetes, pod: Running):
        """As Kubernetes 1.30 and later do."""
        found = review(api, api.cluster.token(pod, "a", "b"), "b", "c")

        assert (found["authenticated"], found["audiences"]) == (True, ["b"])
        assert found["user"]["username"] == "system:serviceaccount:ml:trainer"
        assert found["user"]["extra"]["authentication.kubernetes.io/pod-uid"] == [pod.uid]
        assert found["user"]["extra"]["authentication.kubernetes.io/node-name"] == ["node-a"]

    def test_without_audiences_it_asks_for_its_own(self, api: FakeKubernetes, pod: Running):
        """A reviewer that forgets them lets every pod's own token in."""
        assert review(api, api.cluster.token(pod))["audiences"] == [ISSUER]
        assert "authenticated" not in review(api, api.cluster.token(pod, "a"))

    def test_no_audience_in_common_is_no_authentication(self, api: FakeKubernetes, pod: Running):
        """With words about it."""
        found = review(api, api.cluster.token(pod, "a"), "b")

        assert "authenticated" not in found
        assert "is invalid for the target audiences" in found["error"]

    @pytest.mark.parametrize(("seconds", "good"), [(3659, True), (3661, False), (-59, True), (-61, False)])
    def test_times_have_a_minute_of_leeway(self, tmp_path: Path, seconds: int, good: bool):
        """At both ends, as go-jose has it."""
        now = [1_800_000_000.0]
        cluster = FakeCluster(lambda: now[0])
        token = cluster.token(cluster.run("ml", "trainer"), "a")
        now[0] += seconds

        assert bool(cluster.review(token, ("a",)).get("authenticated")) is good

    def test_a_pod_of_the_same_name_is_another_pod(self, api: FakeKubernetes, pod: Running):
        """Stateful sets use names again."""
        token = api.cluster.token(pod, "a")
        api.cluster.delete(pod)
        assert "invalidated" in review(api, token, "a")["error"]
        api.cluster.run("ml", "trainer")

        assert "invalidated" in review(api, token, "a")["error"]

    def test_a_service_account_that_is_gone_has_no_tokens(self, api: FakeKubernetes, pod: Running):
        """Nor has one of the same name that was made later."""
        token = api.cluster.token(pod, "a")
        api.cluster.accounts["ml", "trainer"] = "another"

        assert "has been deleted" in review(api, token, "a")["error"]


class TestRights:
    @pytest.mark.parametrize("bearer", ["", "x", "a.b.c"])
    def test_who_is_unknown_may_nothing(self, api: FakeKubernetes, bearer: str):
        """401, with a Status."""
        status, body = asked(api, JWKS, bearer=bearer)

        assert (status, body["kind"], body["reason"]) == (401, "Status", "Unauthorized")

    def test_a_token_for_somebody_else_is_unknown_too(self, api: FakeKubernetes):
        """The API server is an audience like any other."""
        assert asked(api, JWKS, bearer=api.cluster.token(api.broker, "credbroker"))[0] == 401

    @pytest.mark.parametrize("path", [JWKS, DISCOVERY])
    def test_discovery_is_a_right(self, api: FakeKubernetes, path: str):
        """Given by a role of its own."""
        assert asked(api, path)[0] == 200
        api.may_discover.discard(REVIEWER)
        assert asked(api, path)[0] == 403
        assert review(api, "a.b.c", "x")

    def test_a_review_is_another(self, api: FakeKubernetes, pod: Running):
        """Pods do not have it by themselves."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "x"}}

        assert asked(api, REVIEW, body, bearer=api.cluster.token(pod))[0] == 403


class TestStrict:
    @pytest.mark.parametrize(
        ("body", "kind", "status"),
        [
            ({"kind": "TokenReview", "spec": {"token": "x"}}, "application/json", 400),
            (
                {"apiVersion": "authentication.k8s.io/v1", "kind": "Pod", "spec": {"token": "x"}},
                "application/json",
                400,
            ),
            ({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}}, "application/json", 400),
            ([], "application/json", 400),
            ({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}, "text/plain", 415),
        ],
    )
    def test_what_is_no_review_is_refused(self, api: FakeKubernetes, body: Any, kind: str, status: int):
        """And told so."""
        assert asked(api, REVIEW, body, kind=kind)[0] == status

    def test_other_paths_and_methods_are_not_there(self, api: FakeKubernetes):
        """Whoever asks."""
        assert asked(api, "/api/v1/secrets")[0] == 404
        assert asked(api, JWKS, {})[0] == 404

    def test_its_certificate_is_by_its_own_authority(self, api: FakeKubernetes):
        """Which nobody trusts by default."""
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(api.url + JWKS, timeout=5)


class TestOutage:
    def test_it_comes_back_where_it_was(self, api: FakeKubernetes):
        """As behind a service address."""
        before = api.url
        api.go_away()
        with pytest.raises(urllib.error.URLError, match="refused"):
            asked(api, JWKS)
        api.come_back()

        assert api.url == before
        assert asked(api, JWKS)[0] == 200

    def test_it_misbehaves_for_as_long_as_it_is_told(self, api: FakeKubernetes):
        """And counts all the same."""
        with api.failing("jwks", status=503, body=b"{}"):
            assert asked(api, JWKS)[0] == 503
        assert asked(api, JWKS)[0] == 200
        assert api.calls["jwks"] == 2
