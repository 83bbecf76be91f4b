"""The bearer token for people's own programs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.dialects import token
from broker.errors import Refused
from broker.model import Kind, Want
from tests.dialects.leases import (
    EXPIRES_TEXT,
    REQUEST_ID,
    SCOPES,
    a_lease,
    a_request,
    access_token,
    decoded,
    keys,
    text,
)

LEASE = a_lease(access_token(*SCOPES))


class TestParse:
    def test_no_name_is_the_first_google_credential(self):
        """The only kind that is a bearer token."""
        assert token.parse(a_request("/token")) == Want(Kind.GOOGLE)

    def test_a_name_is_a_credential(self):
        """AWS keys of that name are not wanted: they are no bearer token."""
        assert token.parse(a_request("/token/data")) == Want(Kind.GOOGLE, "data")

    @pytest.mark.parametrize("path", ["/token/", "/token/a/", "/token/a/b", "/aws", "/"])
    def test_anything_else_is_no_path_of_ours(self, path: str):
        """Exact match."""
        assert token.parse(a_request(path)) is None


class TestRender:
    def test_the_members_are_those_of_the_contract(self):
        """The expiry is there twice: a relative one goes stale on its way."""
        assert decoded(token.render(a_request("/token"), LEASE, 1799.9)) == {
            "access_token": "ya29.token",
            "token_type": "Bearer",
            "expires_in": 1799,
            "expires_at": EXPIRES_TEXT,
            "scope": " ".join(SCOPES),
        }

    def test_scopes_that_are_not_known_are_an_empty_text(self):
        """A member that is there sometimes is a surprise."""
        assert decoded(token.render(a_request("/token"), a_lease(access_token()), 9.0))["scope"] == ""

    @given(st.floats(1.0, 1e6))
    def test_the_life_left_is_never_overstated(self, left: float):
        """A client may use the token until its last second."""
        expires_in = decoded(token.render(a_request("/token"), LEASE, left))["expires_in"]

        assert isinstance(expires_in, int)
        assert 1 <= expires_in <= left < expires_in + 1

    @pytest.mark.parametrize("accept", ["text/plain", "TEXT/PLAIN;q=0.9", "text/plain; charset=utf-8, */*"])
    def test_text_is_the_bare_token(self, accept: str):
        """For a shell script: no newline, no quotes."""
        assert text(token.render(a_request("/token", Accept=accept), LEASE, 9.0)) == "ya29.token"

    @pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/plain, application/json", "text/*"])
    def test_everything_else_is_json(self, accept: str):
        """Who can read both gets more."""
        assert decoded(token.render(a_request("/token", Accept=accept), LEASE, 9.0))

    def test_a_lease_of_another_kind_is_never_shown(self):
        """It would be another secret in the wrong shape."""
        with pytest.raises(TypeError):
            token.render(a_request("/token"), a_lease(keys()), 9.0)


class TestRefuse:
    def test_it_is_flat_json_with_a_hint_for_strangers(self):
        """The same for every path that has no shape of its own."""
        body = decoded(token.refuse(Refused(401, "Unidentified", "nothing says who you are"), REQUEST_ID))

        assert body["error"] == "Unidentified"
        assert "Authorization" in body["message"]
