from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Malformed
from broker.model import AccessToken, Facts, IdToken, Minted
from broker.secret import Secret
from broker.sources import google_answers
from broker.sources.google_errors import Attempt
from broker.sources.google_wire import Heard
from tests.fakes.google import jwt
from tests.fakes.google.registry import key_of

ATTEMPT = Attempt("~/adc.json", "service_account")
SCOPES = ("https://www.googleapis.com/auth/devstorage.read_only",)
GOOD: dict[str, Any] = {"access_token": "ya29.token", "expires_in": 3600, "token_type": "Bearer"}
NO_SECONDS: tuple[object, ...] = (None, True, [], "", "soon", "-3600", "1e3", "٣٦٠٠")
AUDIENCE = "https://service.example"
CLAIMS: dict[str, Any] = {"aud": AUDIENCE, "exp": 1000 + 3600, "email": "train@p.example"}


def heard(text: str = "", date: float | None = 1000.0, arrived: float = 1000.0) -> Heard:
    return Heard(method="POST", text=Secret(text), arrived=arrived, date=date)


def exchanged(members: object, **when: Any) -> Minted:
    text = members if isinstance(members, str) else msgspec.json.encode(members).decode()
    return google_answers.exchanged(heard(text, **when), SCOPES, Facts(), ATTEMPT)


class TestExchanged:
    def test_a_good_answer_is_a_token_with_its_lifetime(self):
        """The lifetime is what upstream said, not what was hoped for."""
        minted = exchanged(GOOD)

        assert isinstance(minted.value, AccessToken)
        assert minted.value.token == Secret("ya29.token")
        assert minted.value.scopes == SCOPES
        assert (minted.lifetime, minted.expires_at, minted.skew) == (3600.0, 4600.0, 0.0)

    def test_a_wrong_local_clock_changes_no_lifetime(self):
        """Ten minutes fast: the expiry is upstream's, and the skew is told."""
        minted = exchanged(GOOD, arrived=1600.0)

        assert (minted.lifetime, minted.expires_at, minted.skew) == (3600.0, 4600.0, 600.0)

    def test_without_a_date_the_local_clock_has_to_do(self):
        """Some metadata servers send none; then no skew is known either."""
        minted = exchanged(GOOD, date=None, arrived=1600.0)

        assert (minted.lifetime, minted.expires_at, minted.skew) == (3600.0, 5200.0, None)

    def test_a_lifetime_in_quotes_is_read(self):
        """Some STS proxies send text, and google-auth reads it too."""
        assert exchanged(GOOD | {"expires_in": "3600"}).lifetime == 3600.0

    def test_the_scopes_that_were_granted_count(self):
        """A person's consent fixes them, whatever was asked for."""
        value = exchanged(GOOD | {"scope": "openid https://x.example/y"}).value

        assert isinstance(value, AccessToken)
        assert value.scopes == ("openid", "https://x.example/y")

    def test_the_id_token_beside_it_says_who_it_is(self):
        """Free with every login that consented to show its e-mail."""
        beside = jwt.sign(key_of("Google itself"), {"aud": "client", "exp": 1, "email": "person@example.com"})

        assert exchanged(GOOD | {"id_token": beside}).facts.email == "person@example.com"

    @pytest.mark.parametrize("beside", ["", "a.b.c", "a.b", 7, None, {"email": "x"}])
    def test_an_unreadable_id_token_beside_it_costs_nothing(self, beside: object):
        """The access token is what was asked for."""
        assert exchanged(GOOD | {"id_token": beside}).facts.email is None

    @pytest.mark.parametrize(
        "answer",
        [
            "",
            "<html>log in to the hotel</html>",
            '{"access_token": "ya29.tok',
            "[]",
            "null",
            {"expires_in": 3600},
            {"access_token": "ya29.token"},
            *(
                GOOD | {"access_token": token}
                for token in ("", None, 7, ["t"], "two words", "new\nline", "ü", "t" * 16385)
            ),
            *(GOOD | {"expires_in": text} for text in NO_SECONDS),
            *(GOOD | {"expires_in": seconds} for seconds in (0, -1, 29, 12 * 3600 + 301, 10**12, 2**63, 3600.5)),
        ],
    )
    def test_anything_else_is_malformed(self, answer: object):
        """Faults 5 and 6: garbage, wrong types, missing fields, dead or absurd lifetimes."""
        with pytest.raises(Malformed) as caught:
            exchanged(answer)

        assert "ya29" not in caught.value.advice

    @given(
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=3),
        st.sampled_from(list(GOOD)),
    )
    def test_no_type_of_any_field_breaks_out(self, value: object, field: str):
        """A surprise must end as Malformed or as a good lease, never as a crash."""
        try:
            minted = exchanged(GOOD | {field: value})
        except Malformed:
            return
        assert 30 <= minted.lifetime <= google_answers.LONGEST_LIFETIME


class TestImpersonated:
    def test_the_calendar_is_compared_with_upstreams_clock(self):
        """Its expireTime is absolute, so its own Date is what it is relative to."""
        answer = SimpleNamespace(access_token="ya29.token", expire_time=datetime.fromtimestamp(4600, UTC))

        minted = google_answers.impersonated(answer, heard(arrived=1600.0), SCOPES, Facts(), ATTEMPT)

        assert (minted.lifetime, minted.expires_at, minted.skew) == (3600.0, 4600.0, 600.0)

    @pytest.mark.parametrize(
        ("token", "ends"),
        [
            ("", datetime.fromtimestamp(4600, UTC)),
            ("ya29.token", None),
            ("ya29.token", datetime(1970, 1, 1, 1)),  # noqa: DTZ001 - naive is the point
            ("ya29.token", datetime.fromtimestamp(1029, UTC)),
            ("ya29.token", datetime(9999, 1, 1, tzinfo=UTC)),
        ],
    )
    def test_half_an_answer_is_malformed(self, token: str, ends: datetime | None):
        """No token, no expiry, a naive one, a dead one, an absurd one."""
        answer = SimpleNamespace(access_token=token, expire_time=ends)

        with pytest.raises(Malformed):
            google_answers.impersonated(answer, heard(), SCOPES, Facts(), ATTEMPT)


def identity(token: object) -> Minted:
    return google_answers.identity(token, AUDIENCE, heard(), Facts(email="known@p.example"), ATTEMPT)


def signed(claims: dict[str, Any]) -> str:
    return jwt.sign(key_of("Google itself"), claims)


class TestIdentity:
    def test_an_id_token_says_itself_when_it_ends_and_whose_it_is(self):
        """Nothing beside it does."""
        minted = identity(signed(CLAIMS))

        assert isinstance(minted.value, IdToken)
        assert minted.value.audience == AUDIENCE
        assert (minted.lifetime, minted.expires_at) == (3600.0, 4600.0)
        assert minted.facts.email == "train@p.example"

    def test_without_an_email_what_is_known_stays(self):
        """Not every issuer includes it."""
        assert identity(signed({"aud": AUDIENCE, "exp": 4600})).facts.email == "known@p.example"

    @pytest.mark.parametrize(
        "token",
        [
            None,
            "",
            7,
            "a.b",
            "a.b.c",
            "a.e30.c",
            *(signed(CLAIMS | {"exp": ends}) for ends in ("4600", None, True, 1000, 1029, 10**12)),
            *(signed(CLAIMS | {"aud": audience}) for audience in ("https://other.example", [AUDIENCE], None)),
            signed(CLAIMS) + "\n",
        ],
    )
    def test_anything_else_is_malformed(self, token: object):
        """Another audience above all: a worker would show it to the wrong service."""
        with pytest.raises(Malformed):
            identity(token)
