"""Tokens judged by the cluster's keys alone."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from broker.errors import Malformed
from broker.minter import keys
from broker.model import Keys, Pod, Reviewed
from tests.fakes.cluster import ISSUER, FakeCluster, Running, Signer
from tests.fakes.google import jwt
from tests.fakes.google.registry import key_of
from tests.jwts import AUDIENCE, forgeries

NOW = 1_800_000_000.0
EC = Signer(ec.generate_private_key(ec.SECP256R1()), "ec-1")

REASONS = {
    "alg none": "jwt-algorithm",
    "alg none unsigned": "jwt-malformed",
    "alg None": "jwt-algorithm",
    "HS256 with the public key": "jwt-algorithm",
    "RS512": "jwt-algorithm",
    "ES256 on an RSA key": "jwt-unknown-key",
    "a head to be understood": "jwt-malformed",
    "wrong audience": "jwt-audience",
    "the API server's audience": "jwt-audience",
    "no audience": "jwt-malformed",
    "wrong issuer": "jwt-issuer",
    "expired": "jwt-expired",
    "not yet": "jwt-not-yet",
    "from the future": "jwt-not-yet",
    "no end": "jwt-malformed",
    "unknown kid": "jwt-unknown-key",
    "another key": "jwt-signature",
    "its own key": "jwt-unknown-key",
    "other claims": "jwt-signature",
    "no signature": "jwt-malformed",
    "no pod": "jwt-unbound",
    "no node": "jwt-unbound",
    "garbage": "jwt-malformed",
    "not base64": "jwt-malformed",
}


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster(lambda: NOW)


@pytest.fixture
def pod(cluster: FakeCluster) -> Running:
    return cluster.run("ml", "trainer")


def judged(cluster: FakeCluster, token: str, wall: float = NOW, *audiences: str) -> Reviewed:
    known = Keys(ISSUER, msgspec.json.encode(cluster.jwks()))
    return keys.judge(token, known, audiences or (AUDIENCE,), wall)


class TestJudge:
    def test_a_good_token_is_its_pods(self, cluster: FakeCluster, pod: Running):
        """And it is said that nobody looked whether the pod is still there."""
        found = judged(cluster, cluster.token(pod, AUDIENCE, "other"))

        assert found == Reviewed(
            pod=Pod(
                namespace="ml",
                service_account="trainer",
                name="worker-0",
                uid=pod.uid,
                node="node-a",
                audiences=(AUDIENCE,),
            ),
            by_keys=True,
        )

    def test_a_key_on_the_curve_signs_as_well(self, cluster: FakeCluster, pod: Running):
        """ES256: its signature is two numbers, not ASN.1."""
        cluster.signers.insert(0, EC)

        assert judged(cluster, cluster.token(pod, AUDIENCE)).pod is not None

    @pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
    def test_a_signature_of_another_length_is_none(self, cluster: FakeCluster, pod: Running, length: int):
        """Whatever the numbers in it would be."""
        cluster.signers.insert(0, EC)
        unsigned = cluster.token(pod, AUDIENCE).rpartition(".")[0]
        found = judged(cluster, f"{unsigned}.{'A' * length}")

        assert found.pod is None

    def test_a_signature_has_one_form(self, cluster: FakeCluster, pod: Running):
        """A zero before its second number changes nothing of that number."""
        cluster.signers.insert(0, EC)
        unsigned, _, text = cluster.token(pod, AUDIENCE).rpartition(".")
        raw = jwt.decoded(text)

        assert judged(cluster, f"{unsigned}.{jwt.encoded(raw[:32] + bytes(1) + raw[32:])}").reason == "jwt-signature"

    def test_either_of_two_keys_signs_while_they_are_exchanged(self, cluster: FakeCluster, pod: Running):
        """Old tokens live on."""
        old = cluster.token(pod, AUDIENCE)
        cluster.signers.insert(0, Signer(key_of("cluster 2"), "key-2"))

        assert judged(cluster, old).pod == judged(cluster, cluster.token(pod, AUDIENCE)).pod

    @pytest.mark.parametrize(("name", "reason"), REASONS.items())
    def test_a_forgery_is_nobodys(self, cluster: FakeCluster, pod: Running, name: str, reason: str):
        """The reason is a fixed word, which quotes nothing."""
        assert judged(cluster, forgeries(cluster, pod)[name]) == Reviewed(reason=reason, by_keys=True)

    def test_every_forgery_was_tried(self, cluster: FakeCluster, pod: Running):
        """But for those that are good tokens of other pods."""
        assert forgeries(cluster, pod).keys() - REASONS == {"another service account", "another namespace"}

    @pytest.mark.parametrize(("wall", "good"), [(0, True), (3599, True), (3600, False), (-60, True), (-61, False)])
    def test_the_clock_of_the_cluster_may_be_a_minute_ahead(
        self, cluster: FakeCluster, pod: Running, wall: float, good: bool
    ):
        """The end of a token is its end."""
        assert (judged(cluster, cluster.token(pod, AUDIENCE), NOW + wall).pod is not None) is good

    @pytest.mark.parametrize("name", ["iat", "nbf"])
    def test_both_times_of_its_beginning_count(self, cluster: FakeCluster, pod: Running, name: str):
        """Whichever is later."""
        assert judged(cluster, cluster.token(pod, AUDIENCE, **{name: NOW + 61})).reason == "jwt-not-yet"

    def test_the_subject_is_the_service_account_that_it_is_bound_to(self, cluster: FakeCluster, pod: Running):
        """Two readings of one token would be one too many."""
        assert judged(cluster, cluster.token(pod, AUDIENCE, sub="system:serviceaccount:ml:x")).reason == "jwt-subject"

    def test_a_token_without_a_key_name_is_tried_with_none(self, cluster: FakeCluster, pod: Running):
        """Clusters always write it."""
        token = cluster.signers[0].sign({"alg": "RS256"}, cluster.claims(pod, AUDIENCE))

        assert judged(cluster, token).reason == "jwt-unknown-key"

    @pytest.mark.parametrize("changed", [{"use": "enc"}, {"alg": "RS512"}, {"kty": "oct"}, {"kid": "key-2"}])
    def test_a_key_for_something_else_signs_nothing(self, cluster: FakeCluster, pod: Running, changed: dict[str, str]):
        """Nor one of another kind under the same name."""
        other = EC.jwk()
        known = Keys(ISSUER, msgspec.json.encode({"keys": [{**cluster.signers[0].jwk(), **changed}, other]}))

        assert keys.judge(cluster.token(pod, AUDIENCE), known, (AUDIENCE,), NOW).reason == "jwt-unknown-key"


class TestReadSet:
    def test_keys_of_other_kinds_are_passed_over(self, cluster: FakeCluster):
        """A cluster may publish more than we know."""
        more = [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "o"}, {**EC.jwk(), "crv": "P-384"}]
        found = keys.read_set(msgspec.json.encode({"keys": [*more, *cluster.jwks()["keys"]]}))

        assert [key.kid for key in found] == ["key-1"]

    @pytest.mark.parametrize(
        "jwks",
        [
            b"",
            b"<html>",
            b"{}",
            b"[]",
            b'{"keys": []}',
            b'{"keys": [{"kty": "RSA", "kid": "a", "n": "", "e": ""}]}',
            b'{"keys": [{"kty": "EC", "crv": "P-256", "kid": "a", "x": "AA", "y": "AA"}]}',
            b'{"keys": [{"kty": "RSA", "kid": "a", "n": "\\u00e4", "e": "AQAB"}]}',
        ],
    )
    def test_a_set_without_a_usable_key_is_none(self, jwks: bytes):
        """It must not take the place of a good one."""
        with pytest.raises(Malformed):
            keys.read_set(jwks)

    def test_a_short_key_is_not_usable(self):
        """1,024 bits are within reach."""
        short = Signer(rsa.generate_private_key(65537, 1024), "short")  # noqa: S505 - which is the point
        with pytest.raises(Malformed):
            keys.read_set(msgspec.json.encode({"keys": [short.jwk()]}))
