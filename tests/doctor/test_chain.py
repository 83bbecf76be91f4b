"""The first step that finds anything wins."""

import pytest

from broker.doctor.chain import NONE, OK, SHADOWED, Found, Step, authority, variable, winner
from tests.doctor.made import facts


class TestWinner:
    def test_the_first_step_wins(self):
        """Whatever comes after."""
        chain = (Step("a", lambda _: None), Step("b", lambda _: Found("why", "do")), Step("c", lambda _: Found("x")))

        found = winner(chain, facts())

        assert (found.provider, found.why, found.verdict, found.remedy) == ("b", "why", SHADOWED, "do")

    def test_the_broker_needs_no_remedy(self):
        """All is well."""
        found = winner((Step("a", lambda _: Found("why", broker=True)),), facts())

        assert (found.verdict, found.remedy) == (OK, None)

    def test_nothing_is_said_to_be_nothing(self):
        """The client will fail, and the way to a broker is told."""
        found = winner((), facts())

        assert (found.provider, found.verdict) == (None, NONE)
        assert "credbroker exec" in str(found.remedy)


class TestVariable:
    def test_all_of_them_must_be_set(self):
        """Half an identity is none; an empty value is no value."""
        both = variable("A", "B")

        assert both(facts({"A": "1", "B": ""})) is None
        assert both(facts({"A": "1", "B": "2"})) == Found("A and B are set", "unset A B")

    def test_its_value_is_never_told(self):
        """It may be a key."""
        assert "hunter2" not in repr(variable("AWS_SECRET_ACCESS_KEY")(facts({"AWS_SECRET_ACCESS_KEY": "hunter2"})))


class TestAuthority:
    @pytest.mark.parametrize(
        ("url", "where"),
        [
            ("http://127.0.0.1:9911/aws/train", "127.0.0.1:9911"),
            ("127.0.0.1:9911/w/cbp_secret", "127.0.0.1:9911"),
            ("http://[fd00:ec2::23]/v1", "[fd00:ec2::23]:80"),
            ("https://example.com", "example.com:443"),
            ("127.0.0.1:nonsense", "a malformed address"),
            ("http://[bad", "a malformed address"),
            ("", ":80"),
        ],
    )
    def test_a_path_token_is_not_in_it(self, url: str, where: str):
        """It is printed."""
        assert authority(url) == where
