"""What a worker's environment is made of."""

from broker.config.shape import Address
from broker.secret import Secret
from broker.worker_env.environment import Environment, Plane, applied, contents, joined, opened
from tests.worker_env.workers import HEADER, PATH, PLANE


class TestPlane:
    def test_an_ipv6_address_is_bracketed(self):
        """As URLs have it."""
        plane = Plane(address=Address("::1", 80), folder="/run/w", program=("credbroker",), path_token=Secret(PATH))

        assert opened(plane.metadata_host) == f"[::1]:80/w/{PATH}"

    def test_what_it_shows_for_itself_is_its_token(self):
        """The header token; the path token opens less."""
        assert opened(PLANE.authorization) == HEADER


class TestJoined:
    def test_nothing_of_any_part_is_lost_and_no_folder_comes_twice(self):
        """Each dialect has its own."""
        one = Environment(set=(("A", "1"),), unset=("B",), folders=("/f",), files=(("/f/a", "x"),))
        two = Environment(set=(("C", "2"),), unset=("D",), folders=("/f", "/g"), files=(("/g/a", "y"),))

        assert joined(one, two) == Environment(
            set=(("A", "1"), ("C", "2")),
            unset=("B", "D"),
            folders=("/f", "/g"),
            files=(("/f/a", "x"), ("/g/a", "y")),
        )


class TestApplied:
    def test_it_sets_unsets_and_keeps_the_rest(self):
        """Secrets are opened: this is what the command is given."""
        environment = Environment(set=(("A", Secret("new")), ("B", "2")), unset=("C",))

        assert applied(environment, {"A": "old", "C": "3", "D": "4"}) == {"A": "new", "B": "2", "D": "4"}


class TestContents:
    def test_files_are_bytes_as_the_system_has_them(self):
        """A path in a config file may be none of UTF-8."""
        environment = Environment(files=(("/f/a", Secret("x")), ("/f/b", "caf\udce9")))

        assert contents(environment) == (("/f/a", b"x"), ("/f/b", b"caf\xe9"))
