"""A token taken apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import jwt
from tests.fakes.cluster import FakeCluster
from tests.jwts import AUDIENCE, joined


def claims(**changed: object) -> dict[str, object]:
    cluster = FakeCluster(lambda: 1_800_000_000.0)
    return {**cluster.claims(cluster.run("ml", "trainer"), AUDIENCE), **changed}


def reason(text: str) -> str:
    with pytest.raises(jwt.BadJwt) as refused:
        jwt.parse(text)
    return refused.value.reason


class TestHasForm:
    @pytest.mark.parametrize("text", ["a.b.c", "eyJ-_.A9.z"])
    def test_three_parts_of_base64url_look_like_a_token(self, text: str):
        """Whatever they say."""
        assert jwt.has_form(text)

    @pytest.mark.parametrize(
        "text",
        ["", "a.b", "a.b.c.d", "a.b.", ".b.c", "a..c", "a.b.c\n", " a.b.c", "a.b.c=", "a.b+.c", "ä.b.c", "a b.c.d"],
    )
    def test_anything_else_does_not(self, text: str):
        """An unsigned token is none."""
        assert not jwt.has_form(text)

    def test_it_is_no_longer_than_a_head_may_be(self):
        """16 KiB in all."""
        assert jwt.has_form("a.b." + "c" * (jwt.LONGEST - 4))
        assert not jwt.has_form("a.b." + "c" * (jwt.LONGEST - 3))


class TestParse:
    def test_gives_what_it_says_of_itself(self):
        """And what was signed, to the byte."""
        cluster = FakeCluster(lambda: 1_800_000_000.0)
        pod = cluster.run("ml", "trainer", "worker-7", "node-b")
        text = cluster.token(pod, AUDIENCE, "other")

        token = jwt.parse(text)

        assert (token.alg, token.kid) == ("RS256", "key-1")
        assert token.claims.audiences == (AUDIENCE, "other")
        assert token.claims.sub == "system:serviceaccount:ml:trainer"
        assert (token.claims.exp, token.claims.iat) == (1_800_003_600, 1_800_000_000)
        assert token.claims.bound.pod == jwt.Named("worker-7", pod.uid)
        assert token.claims.bound.node is not None
        assert token.claims.bound.node.name == "node-b"
        assert token.signed.decode() == text.rpartition(".")[0]

    def test_one_audience_may_stand_alone(self):
        """RFC 7519, 4.1.3."""
        assert jwt.parse(joined({"alg": "ES256"}, claims(aud="one"), b"x")).claims.audiences == ("one",)

    @pytest.mark.parametrize("alg", ["none", "None", "HS256", "RS384", "PS256", "ES384", "EdDSA", ""])
    def test_two_algorithms_are_known(self, alg: str):
        """Neither of them without a key, or with a shared one."""
        assert reason(joined({"alg": alg}, claims(), b"x")) == "jwt-algorithm"

    @pytest.mark.parametrize(
        "text",
        [
            joined({"alg": "RS256", "crit": ["b64"]}, claims(), b"x"),
            joined({"alg": ["RS256"]}, claims(), b"x"),
            joined({}, claims(), b"x"),
            joined({"alg": "RS256"}, {}, b"x"),
            joined({"alg": "RS256"}, claims(exp="tomorrow"), b"x"),
            joined({"alg": "RS256"}, claims(exp=None), b"x"),
            joined({"alg": "RS256"}, claims(aud=5), b"x"),
            joined({"alg": "RS256"}, claims(aud=["a", 5]), b"x"),
            joined({"alg": "RS256"}, claims(**{"kubernetes.io": {"namespace": "ml"}}), b"x"),
            "a.b.c",
            "e30.e30.e30",
            "x" * 100,
        ],
    )
    def test_what_lacks_something_is_no_token(self, text: str):
        """Nothing is guessed."""
        assert reason(text) == "jwt-malformed"

    @given(st.text(alphabet="eyJhbGciOiJ9.-_A0", max_size=80))
    def test_no_text_does_anything_but_to_be_refused(self, text: str):
        """Whatever comes in a header, the error is ours."""
        with pytest.raises(jwt.BadJwt):
            jwt.parse(text)

    def test_deep_nesting_is_refused_too(self):
        """Not by a crash."""
        deep = '{"alg":' + "[" * 4000 + "]" * 4000 + "}"
        head = joined({}, {}, b"").split(".")
        text = f"{jwt_text(deep)}.{head[1]}.eA"

        assert reason(text) == "jwt-malformed"

    def test_it_is_not_shown(self):
        """It is as good as a secret."""
        assert repr(jwt.parse(joined({"alg": "RS256"}, claims(), b"x"))) == "Jwt(...)"


def jwt_text(text: str) -> str:
    from tests.fakes.google.jwt import encoded

    return encoded(text.encode())
