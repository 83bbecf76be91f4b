"""Secrets of any kind under names of people's own."""

from pathlib import Path

import pytest

from broker.errors import IdentityMissing
from broker.model import Facts, Given, Reference, Variables
from broker.secret import Secret
from broker.sources.private_env import PrivateEnv, mint, who


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A file with a secret in it."""
    path = tmp_path / "wandb.key"
    path.touch(0o600)
    path.write_text("w1\n")
    return path


class TestSpec:
    def test_its_secrets_live_as_long_as_they_live(self):
        """`check`, `status` and the page of sources say so."""
        assert not PrivateEnv.short_lived

    @pytest.mark.parametrize("name", ["AWS_CONFIG_FILE", "PATH", "a b"])
    def test_a_name_that_is_not_for_a_credential_to_set_is_a_mistake(self, name: str):
        """Whatever is in it."""
        ((field, _),) = PrivateEnv(secrets={name: Reference(env="X")}).mistakes()

        assert field == "secrets"


class TestMint:
    def test_all_of_them_are_read(self, key: Path, monkeypatch: pytest.MonkeyPatch):
        """In the order of the file."""
        monkeypatch.setenv("MY_HF", "h1")
        spec = PrivateEnv(secrets={"WANDB_API_KEY": Reference(file=str(key)), "HF_TOKEN": Reference(env="MY_HF")})

        assert mint(spec, Given()).value == Variables((("WANDB_API_KEY", Secret("w1")), ("HF_TOKEN", Secret("h1"))))

    def test_one_that_is_missing_fails_all(self, key: Path):
        """Half of them would be none."""
        spec = PrivateEnv(secrets={"A": Reference(file=str(key)), "B": Reference(file=str(key.parent / "none"))})

        with pytest.raises(IdentityMissing, match=r"^B: "):
            mint(spec, Given())

    def test_it_is_read_as_often_as_it_says(self, key: Path):
        """`reread`."""
        assert mint(PrivateEnv(secrets={"A": Reference(file=str(key))}, reread=15), Given()).again == 15


class TestWho:
    def test_nobody_knows(self, key: Path):
        """There is no store to ask."""
        spec = PrivateEnv(secrets={"A": Reference(file=str(key))})

        assert who(spec, mint(spec, Given()).value) == Facts()
