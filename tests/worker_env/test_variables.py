"""Secrets in the environment itself: whole or not at all."""

from broker.model import Kind
from broker.secret import Secret
from broker.worker_env.environment import Environment
from broker.worker_env.variables import VariablesGrant, fitting, variables_environment
from tests.worker_env.workers import variables


def a_grant(name: str, *names: str, kind: str = Kind.ENV) -> VariablesGrant:
    """A credential of these variables."""
    return VariablesGrant(name=name, kind=kind, values=tuple((one, Secret(f"{name}'s")) for one in names))


class TestVariablesEnvironment:
    def test_they_are_set_as_they_are(self):
        """And nothing is unset for what the user chose the names of."""
        made = variables_environment(a_grant("a", "X", "Y"))

        assert (variables(made), made.unset) == ({"X": "a's", "Y": "a's"}, ())

    def test_what_clients_read_together_is_never_half_the_users_own(self):
        """A password of his beside our token would decrypt nothing."""
        made = variables_environment(a_grant("a", "ALIPAN_WEB_REFRESH_TOKEN", kind=Kind.ALIPAN))

        assert made.unset == ("ALIPAN_ENCRYPT_PASSWORD", "ALIPAN_ENCRYPT_TYPE")


class TestFitting:
    def test_of_two_that_meet_the_first_is_given(self):
        """The second is left out whole: half of it beside half of another would be neither."""
        first, second, third = a_grant("a", "X"), a_grant("b", "X", "Y"), a_grant("c", "Y")

        assert list(fitting((first, second, third), ())) == [first, third]

    def test_what_a_cloud_sets_or_unsets_is_taken(self):
        """No secret of a user's own choice slips past the broker."""
        cloud = Environment(set=(("S", "1"),), unset=("U",))

        assert list(fitting((a_grant("a", "S"), a_grant("b", "U"), a_grant("c", "X")), (cloud,))) == [a_grant("c", "X")]
