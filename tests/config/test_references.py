"""References to secrets, as they are configured."""

import pytest

from broker.config import read, references
from broker.config.shape import Credential, Snapshot
from broker.errors import ConfigError
from broker.model import Reference
from broker.sources.private_env import PrivateEnv

MAIN = "/etc/credbroker/config.toml"


def credential(secrets: str) -> Credential:
    """A credential with these references."""
    text = f"[credentials.a]\nsource = 'private-env'\nsecrets = {secrets}\n"
    (found,) = read.parse(Snapshot(((MAIN, text.encode()),))).credentials
    return found


def secrets(text: str) -> dict[str, Reference]:
    """The references themselves."""
    spec = credential(text).spec
    assert isinstance(spec, PrivateEnv)
    return spec.secrets


def told(text: str) -> str:
    """The one mistake, less where it stands."""
    with pytest.raises(ConfigError) as caught:
        secrets(text)
    (mistake,) = caught.value.mistakes
    return str(mistake).partition("[credentials.a] ")[2]


class TestAbsolute:
    def test_a_relative_file_starts_at_the_folder_of_the_configuration(self):
        """As every path in it does."""
        assert secrets("{ A = { file = 'a.key' }, B = { file = '/b' } }") == {
            "A": Reference(file="/etc/credbroker/a.key"),
            "B": Reference(file="/b"),
        }

    def test_a_variable_is_left_alone(self):
        """It is the minter's."""
        assert secrets("{ A = { env = 'MY_A' } }") == {"A": Reference(env="MY_A")}

    def test_a_home_folder_is_not_guessed(self):
        """The daemon's is not the user's."""
        assert told("{ A = { file = '~/a' } }") == "secrets.A.file: ~ is not expanded; write the whole path"

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("{ A = 'CANARY' }", "secrets.A"),
            ("{ A = { file = '/a', env = 'A' } }", "secrets.A"),
            ("{ A = {} }", "secrets.A"),
            ("{ A = { value = 'CANARY' } }", "secrets.A"),
            ("{ A = { env = 'a b' } }", "secrets.A.env"),
            ("{ A = { file = '' } }", "secrets.A.file"),
        ],
    )
    def test_anything_but_one_reference_is_refused(self, text: str, place: str):
        """No secret stands in the file, and none is quoted."""
        mistake = told(text)

        assert mistake.startswith("secrets")
        assert "no secret stands in this file" in mistake or "must be" in mistake
        assert "CANARY" not in mistake


class TestVariables:
    def test_those_that_are_referred_to_are_known(self):
        """They are taken out of the daemon's environment and given to minters."""
        one = credential("{ A = { env = 'MY_A' }, B = { file = '/b' } }")

        assert references.variables([one]) == {"MY_A"}


class TestFiles:
    def test_it_names_every_file_and_no_variable(self):
        """By absolute paths."""
        found = references.files(credential("{ A = { file = 'a.key' }, B = { env = 'B' }, C = { file = '/c' } }"))

        assert found == ("/etc/credbroker/a.key", "/c")
