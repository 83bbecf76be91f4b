"""Tokens reviewed by an API server, over real TLS."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.config.shape import Cluster
from broker.errors import IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.minter import review
from broker.model import Keys, Pod, Review, Reviewed
from broker.secret import Secret
from tests.fakes.authority import Authority
from tests.fakes.cluster import ISSUER, Running
from tests.fakes.kubernetes import FakeKubernetes
from tests.jwts import AUDIENCE, forgeries


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeKubernetes]:
    with FakeKubernetes(tmp_path) as found:
        yield found


@pytest.fixture
def pod(api: FakeKubernetes) -> Running:
    return api.cluster.run("ml", "trainer")


def at(api: FakeKubernetes, **changed: Any) -> Cluster:
    settings = {"api_server": api.url, "token_file": str(api.token_file), "ca_file": str(api.ca_file), **changed}
    return Cluster(**settings)


def asked(api: FakeKubernetes, token: str | None, keys: Keys | None = None, **changed: Any) -> Reviewed:
    question = Review(token=Secret(token) if token is not None else None, generation="", keys=keys)
    return review.answer(question, at(api, **changed), (AUDIENCE,), {})


def error(api: FakeKubernetes, token: str | None, **changed: Any) -> MintError:
    with pytest.raises(MintError) as raised:
        asked(api, token, **changed)
    assert token is None or token not in str(raised.value)
    return raised.value


def reviewing(user: dict[str, Any], **more: Any) -> bytes:
    """A review that authenticates."""
    return msgspec.json.encode({"kind": "TokenReview", "status": {"authenticated": True, "user": user, **more}})


class TestReview:
    def test_a_pods_token_is_its_pods(self, api: FakeKubernetes, pod: Running):
        """For the audiences of ours alone, which are asked for."""
        token = api.cluster.token(pod, AUDIENCE, "other")

        assert asked(api, token) == Reviewed(
            pod=Pod(
                namespace="ml",
                service_account="trainer",
                name="worker-0",
                uid=pod.uid,
                node="node-a",
                audiences=(AUDIENCE,),
            )
        )
        assert api.reviewed == [[AUDIENCE]]
        assert api.calls == {"review": 1}

    @pytest.mark.parametrize("text", ["", "a.b", "secret", "a.b.c\n", f"a.b.{'c' * 16_384}"])
    def test_nothing_but_what_may_be_a_token_is_ever_sent(self, api: FakeKubernetes, text: str):
        """A daemon that was taken over has minters carry no other message to the API server, nor a long one."""
        assert asked(api, text) == Reviewed(reason="jwt-malformed")
        assert not api.calls

    @pytest.mark.parametrize(
        "name",
        [
            *("wrong audience", "the API server's audience", "wrong issuer", "expired", "not yet", "from the future"),
            *("unknown kid", "another key", "other claims", "alg none", "HS256 with the public key"),
        ],
    )
    def test_a_forgery_is_nobodys(self, api: FakeKubernetes, pod: Running, name: str):
        """The API server says so."""
        assert asked(api, forgeries(api.cluster, pod)[name]) == Reviewed(reason="review-refused")

    def test_a_deleted_pods_token_is_nobodys(self, api: FakeKubernetes, pod: Running):
        """However long it would still live."""
        token = api.cluster.token(pod, AUDIENCE)
        api.cluster.delete(pod)

        assert asked(api, token) == Reviewed(reason="review-refused")

    def test_an_older_cluster_does_not_tell_the_node(self, api: FakeKubernetes, pod: Running):
        """Whoever decides will miss it."""
        api.cluster.node_info = False
        found = asked(api, api.cluster.token(pod, AUDIENCE)).pod

        assert found is not None
        assert (found.uid, found.node) == (pod.uid, None)

    def test_a_server_that_knows_no_audiences_vouches_for_nobody(self, api: FakeKubernetes, pod: Running):
        """It would take any token of any pod, its own included."""
        user = {"username": "system:serviceaccount:ml:trainer"}
        told: tuple[dict[str, Any], ...] = ({}, {"audiences": []}, {"audiences": [ISSUER]})
        for audiences in told:
            with api.failing("review", status=201, body=reviewing(user, **audiences)):
                assert asked(api, api.cluster.token(pod, AUDIENCE)) == Reviewed(reason="review-audience")

    @pytest.mark.parametrize(
        "username", ["alice", "system:node:a", "system:serviceaccount:ml", "system:serviceaccount:a:b:c"]
    )
    def test_whoever_is_no_service_account_is_nobody(self, api: FakeKubernetes, username: str):
        """A cluster has users too, by OIDC or certificates."""
        with api.failing("review", status=201, body=reviewing({"username": username}, audiences=[AUDIENCE])):
            assert asked(api, "a.b.c") == Reviewed(reason="review-no-service-account")

    def test_a_word_that_is_there_twice_is_not_taken(self, api: FakeKubernetes):
        """Which of the two would it be?"""
        extra = {"authentication.kubernetes.io/pod-uid": ["a", "b"], "authentication.kubernetes.io/pod-name": []}
        user = {"username": "system:serviceaccount:ml:trainer", "extra": extra}
        with api.failing("review", status=201, body=reviewing(user, audiences=[AUDIENCE])):
            found = asked(api, "a.b.c").pod

        assert found is not None
        assert (found.uid, found.name) == (None, None)


class TestKeys:
    def test_they_come_with_their_issuer(self, api: FakeKubernetes, pod: Running):
        """And judge tokens without the API server."""
        keys = asked(api, None).keys
        assert keys is not None
        token = api.cluster.token(pod, AUDIENCE)
        api.go_away()

        found = asked(api, token, keys)

        assert keys.issuer == ISSUER
        assert found.pod is not None
        assert found.by_keys
        assert api.calls == {"discovery": 1, "jwks": 1}

    @pytest.mark.parametrize("name", ["discovery", "jwks"])
    @pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"keys": []}', b"[" * 9000])
    def test_garbage_is_no_keys(self, api: FakeKubernetes, name: str, body: bytes):
        """What is held stays."""
        with api.failing(name, status=200, body=body):
            assert isinstance(error(api, None), Malformed)

    def test_they_need_a_right_of_their_own(self, api: FakeKubernetes):
        """And the message says where it stands."""
        api.may_discover.clear()

        assert "rbac.yaml" in str(error(api, None))


class TestTrouble:
    @pytest.mark.parametrize(
        ("status", "kind", "code"),
        [
            (500, Unreachable, "Http500"),
            (503, Unreachable, "Http503"),
            (429, Throttled, "Http429"),
            (302, Malformed, "Http302"),
            (404, Malformed, "Http404"),
            (400, Malformed, "Http400"),
            (204, Malformed, "Http204"),
        ],
    )
    def test_each_status_is_an_error_of_ours(self, api: FakeKubernetes, status: int, kind: type, code: str):
        """A redirect is not followed, wherever it leads."""
        fields = {"Location": f"{api.url}/x", "Retry-After": "7"}
        with api.failing("review", status=status, body=b"CANARY", fields=fields):
            raised = error(api, "a.b.c")

        assert (type(raised), raised.code) == (kind, code)
        assert "CANARY" not in str(raised)
        assert raised.retry_after == (7.0 if status == 429 else None)
        assert sum(api.calls.values()) == 1

    def test_patience_is_bounded(self, api: FakeKubernetes):
        """Not for a day."""
        with api.failing("review", status=429, fields={"Retry-After": "86400"}):
            assert error(api, "a.b.c").retry_after == review.LONGEST_WAIT
        with api.failing("review", status=429, fields={"Retry-After": "Fri, 31 Dec"}):
            assert error(api, "a.b.c").retry_after is None

    @pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"kind": "Status", "status": "Failure"}', b"[" * 9000])
    def test_garbage_vouches_for_nobody(self, api: FakeKubernetes, body: bytes):
        """A proxy's login page is no review."""
        with api.failing("review", status=200, body=body):
            assert isinstance(error(api, "a.b.c"), Malformed)

    def test_an_endless_answer_is_cut_off(self, api: FakeKubernetes):
        """Whatever it would say in the end."""
        body = reviewing({"username": "system:serviceaccount:ml:trainer"}, audiences=[AUDIENCE])
        with api.failing("review", status=200, body=body.ljust(review.LONGEST_ANSWER)):
            assert asked(api, "a.b.c").pod is not None
        with api.failing("review", status=200, body=body.ljust(review.LONGEST_ANSWER + 1)):
            assert error(api, "a.b.c").code == "UnusableAnswer"

    def test_nobody_listens(self, api: FakeKubernetes):
        """One attempt."""
        api.go_away()

        assert error(api, "a.b.c").code == "ConnectionFailed"

    def test_a_server_that_does_not_answer_is_given_up(self, api: FakeKubernetes, monkeypatch: pytest.MonkeyPatch):
        """After a while."""
        monkeypatch.setattr(review, "TIMEOUT", 0.2)
        with api.failing("review", delay=30.0):
            assert error(api, "a.b.c").code == "ConnectionFailed"

    def test_a_server_of_another_authority_is_not_trusted(self, api: FakeKubernetes, tmp_path: Path):
        """Nor shown a token."""
        other = tmp_path / "other.crt"
        other.write_bytes(Authority("another").pem)

        assert error(api, "a.b.c", ca_file=str(other)).code == "TlsFailed"
        assert not api.calls

    def test_no_proxy_and_no_netrc_come_in_between(
        self, api: FakeKubernetes, pod: Running, monkeypatch: pytest.MonkeyPatch
    ):
        """Pods often have the first, people the second."""
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        netrc = api.token_file.with_name("netrc")
        netrc.write_text("machine 127.0.0.1 login x password y\n")
        monkeypatch.setenv("NETRC", str(netrc))

        assert asked(api, api.cluster.token(pod, AUDIENCE)).pod is not None


class TestOwnIdentity:
    def test_a_token_that_the_api_server_does_not_know(self, api: FakeKubernetes):
        """The pod's own volume was unmounted, say."""
        api.token_file.write_text("not.a.token")

        assert error(api, "a.b.c").code == "ReviewerUnknown"

    def test_it_is_read_anew_each_time(self, api: FakeKubernetes, pod: Running):
        """The kubelet replaces it."""
        good = api.token_file.read_text()
        api.token_file.write_text("not.a.token")
        error(api, "a.b.c")
        api.token_file.write_text(f"{good}\n")

        assert asked(api, api.cluster.token(pod, AUDIENCE)).pod is not None

    def test_without_the_right_the_message_says_where_it_stands(self, api: FakeKubernetes):
        """The usual first mistake."""
        api.may_review.clear()
        raised = error(api, "a.b.c")

        assert (type(raised), raised.code) == (IdentityMissing, "ReviewForbidden")
        assert "rbac.yaml" in str(raised)

    @pytest.mark.parametrize("content", ["", "\n", "two words", "ä"])
    def test_a_file_without_a_token(self, api: FakeKubernetes, content: str):
        """Nothing is sent."""
        api.token_file.write_text(content)

        assert error(api, "a.b.c").code == "ReviewerUnknown"
        assert not api.calls

    def test_files_that_are_missing(self, api: FakeKubernetes):
        """Each is named."""
        assert "/nowhere/token" in str(error(api, "a.b.c", token_file="/nowhere/token"))
        assert "/nowhere/ca.crt" in str(error(api, "a.b.c", ca_file="/nowhere/ca.crt"))


class TestInCluster:
    def test_the_environment_names_the_api_server(self, api: FakeKubernetes, pod: Running):
        """As in every pod."""
        host, port = api.url.removeprefix("https://").split(":")
        settings = Cluster(token_file=str(api.token_file), ca_file=str(api.ca_file))
        question = Review(token=Secret(api.cluster.token(pod, AUDIENCE)), generation="")
        environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}

        assert review.answer(question, settings, (AUDIENCE,), environ).pod is not None

    def test_elsewhere_it_must_be_configured(self, api: FakeKubernetes):
        """And the message says how."""
        with pytest.raises(IdentityMissing, match="api_server"):
            review.answer(Review(token=None, generation=""), Cluster(), (AUDIENCE,), {})

    def test_an_ipv6_address_stands_in_brackets(self):
        """As in any URL."""
        assert review._in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1"}) == "https://[fd00::1]:443"
