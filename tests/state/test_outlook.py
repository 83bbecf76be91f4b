"""Whether leases could be kept, told without keeping any."""

from pathlib import Path

import pytest

from broker.errors import BrokerError
from broker.state import outlook
from broker.state.outlook import Outlook, look


@pytest.fixture
def key(tmp_path: Path) -> str:
    """A good one."""
    path = tmp_path / "key"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)
    return str(path)


def listed(folder: Path) -> list[tuple[str, int]]:
    """All that is there, with its mode."""
    return sorted((str(path), path.stat().st_mode) for path in folder.rglob("*"))


class TestLook:
    def test_all_is_well(self, tmp_path: Path, key: str):
        """And nothing is changed by the look."""
        folder = tmp_path / "state"
        folder.mkdir(0o700)
        before = listed(tmp_path)

        assert look(folder, key, {}) == Outlook(folder=str(folder), key=f"the key file {key}")
        assert listed(tmp_path) == before

    def test_a_folder_that_the_daemon_makes_is_none_yet(self, tmp_path: Path, key: str):
        """That is said and is not wrong."""
        found = look(tmp_path / "state", key, {})

        assert found.wrong == ()
        assert found.notes == (f"state_dir: {tmp_path}/state is not there yet: the daemon makes it",)
        assert not (tmp_path / "state").exists()

    def test_a_way_that_leads_nowhere_is_wrong(self, tmp_path: Path, key: str):
        """A path that is mistyped makes no tree."""
        (mistake,) = look(tmp_path / "none" / "state", key, {}).wrong

        assert mistake.startswith(f"state_dir: {tmp_path}/none does not exist")

    def test_unless_a_unit_makes_it(self, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch):
        """`check` comes before the first start."""
        monkeypatch.setattr(outlook, "STATE_HOME", tmp_path)
        found = look(tmp_path / "credbroker" / "leases", key, {})

        assert found.wrong == ()
        assert "StateDirectory=credbroker" in found.notes[0]

    def test_each_of_the_two_is_told(self, tmp_path: Path, key: str):
        """A folder that others may enter, a key that they may read."""
        folder = tmp_path / "state"
        folder.mkdir(0o750)
        Path(key).chmod(0o644)
        found = look(folder, key, {})

        assert [one.partition(":")[0] for one in found.wrong] == ["state_dir", "state_key"]
        assert found.key is None

    def test_a_key_that_a_unit_may_have_is_not_missed_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A systemd credential shows in the unit alone."""

        def refuse(*_: object) -> None:
            raise BrokerError("the kernel's keyring cannot be used here (not permitted)")

        monkeypatch.setattr("broker.state.keyring.kept", refuse)
        (tmp_path / "state").mkdir(0o700)
        found = look(tmp_path / "state", None, {})

        assert (found.key, found.wrong) == (None, ())
        assert "LoadCredentialEncrypted=state-key" in found.notes[0]
