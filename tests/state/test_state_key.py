"""Where the key is looked for, and which keys are refused."""

import os
from pathlib import Path

import pytest

from broker.errors import BrokerError
from broker.state import keyring, state_key
from tests.keys import forget
from tests.other_user import given_away

KEY = bytes(range(32))


def a_key(path: Path, key: bytes = KEY, mode: int = 0o600) -> str:
    """A key file."""
    path.write_bytes(key)
    path.chmod(mode)
    return str(path)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder that it is for."""
    (tmp_path / "state").mkdir(0o700)
    return tmp_path / "state"


@pytest.fixture
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that keeps nothing."""

    def refuse(*_: object) -> None:
        raise BrokerError("the kernel's keyring cannot be used here (not permitted)")

    monkeypatch.setattr("broker.state.keyring.kept", refuse)


class TestFind:
    def test_a_file_that_is_configured_decides(self, tmp_path: Path, state: Path):
        """Although there is a systemd credential too."""
        a_key(tmp_path / "state-key", b"x" * 31 + b"y")
        environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
        found = state_key.find(state, a_key(tmp_path / "key"), environ)

        assert (found.key.open(), found.origin) == (KEY.hex(), f"the key file {tmp_path / 'key'}")
        assert KEY.hex() not in repr(found)

    def test_else_a_systemd_credential(self, tmp_path: Path, state: Path):
        """Systemd gives root's file to a group of one, by an access list."""
        a_key(tmp_path / "state-key", mode=0o400)
        found = state_key.find(state, None, {"CREDENTIALS_DIRECTORY": str(tmp_path)})

        assert (found.key.open(), found.origin) == (KEY.hex(), "the systemd credential state-key")

    def test_else_the_kernel_keeps_one_for_each_folder(self, tmp_path: Path, state: Path):
        """The same at the next start."""
        environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
        first, again = state_key.find(state, None, environ), state_key.find(state, None, {})

        assert first == again
        assert first.key != state_key.find(tmp_path / "other", None, {}).key
        assert len(bytes.fromhex(first.key.open())) == state_key.LENGTH
        for folder in (state, tmp_path / "other"):
            forget(folder)

    @pytest.mark.usefixtures("no_keyring")
    def test_else_there_is_none(self, state: Path):
        """It says what to do."""
        advice = "keyring cannot be used here.*: set state_key, or give the unit LoadCredentialEncrypted=state-key"
        with pytest.raises(BrokerError, match=advice):
            state_key.find(state, None, {})

    def test_a_keyring_that_forgets_is_none(self, state: Path, monkeypatch: pytest.MonkeyPatch):
        """What is sealed under it would be lost at once."""
        monkeypatch.setattr("broker.state.keyring.kept", lambda _: None)
        monkeypatch.setattr("broker.state.keyring.keep", lambda *_: None)
        with pytest.raises(BrokerError, match="does not give back what it was given"):
            state_key.find(state, None, {})


class TestLook:
    def test_it_tells_where_the_key_is_and_makes_none(self, tmp_path: Path, state: Path):
        """A look at a keyring leaves nothing in it."""
        file = a_key(tmp_path / "key")

        assert state_key.look(state, file, {}) == f"the key file {file}"
        assert state_key.look(state, None, {}) == "the kernel's keyring"
        assert keyring.kept(state_key.name_of(state)) is None

    @pytest.mark.usefixtures("no_keyring")
    def test_it_says_what_find_would(self, tmp_path: Path, state: Path):
        """In the same words."""
        for file in (None, a_key(tmp_path / "key", bytes(32))):
            said = []
            for ask in (state_key.look, state_key.find):
                with pytest.raises(BrokerError) as caught:
                    ask(state, file, {})
                said.append(caught.value.advice)

            assert said[0] == said[1]


class TestRefused:
    @pytest.mark.parametrize("length", [0, 31, 33, 64])
    def test_another_length(self, tmp_path: Path, state: Path, length: int):
        """A key in hexadecimal, or with a line end, is none."""
        with pytest.raises(BrokerError, match="32 bytes"):
            state_key.find(state, a_key(tmp_path / "key", os.urandom(length)), {})

    def test_nothing_random(self, tmp_path: Path, state: Path):
        """32 zeros are what `truncate` makes."""
        with pytest.raises(BrokerError, match="no random key"):
            state_key.find(state, a_key(tmp_path / "key", bytes(32)), {})

    @pytest.mark.parametrize("mode", [0o644, 0o604, 0o622])
    def test_one_that_others_may_read_or_write(self, tmp_path: Path, state: Path, mode: int):
        """Then it seals nothing."""
        with pytest.raises(BrokerError, match="others may"):
            state_key.find(state, a_key(tmp_path / "key", mode=mode), {})

    def test_one_of_another_user(self, tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch):
        """He knows it."""
        path = a_key(tmp_path / "key")
        given_away(Path(path), monkeypatch)
        with pytest.raises(BrokerError, match="belongs to another user"):
            state_key.find(state, path, {})

    @pytest.mark.parametrize("linked", [False, True])
    def test_one_that_lies_beside_what_it_seals(self, tmp_path: Path, state: Path, linked: bool):
        """Also behind a link that leads there."""
        path = a_key(state / "key")
        if linked:
            (tmp_path / "key").symlink_to(path)
            path = str(tmp_path / "key")
        with pytest.raises(BrokerError, match="lies in state_dir"):
            state_key.find(state, path, {})

    def test_no_file(self, tmp_path: Path, state: Path):
        """It never falls back to another key: what was sealed under this one would be thrown away."""
        with pytest.raises(BrokerError, match="No such file"):
            state_key.find(state, str(tmp_path / "key"), {})
