from pathlib import Path

import pytest

from broker.config.find import locate
from broker.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    return {"HOME": str(tmp_path / "home")}


def a_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


class TestLocate:
    def test_nothing_anywhere_is_zero_configuration(self, tmp_path: Path, home: dict[str, str]):
        """None tells the caller to go on without a file."""
        assert locate(None, home, tmp_path / "absent.toml") is None

    def test_the_order_is_that_of_the_contract(self, tmp_path: Path, home: dict[str, str]):
        """The option, the variable, the XDG folder, the home folder, the system."""
        option, variable, system = (a_file(tmp_path / name) for name in ("option", "variable", "system"))
        xdg = a_file(tmp_path / "xdg" / "credbroker" / "config.toml")
        of_home = a_file(tmp_path / "home" / ".config" / "credbroker" / "config.toml")
        environ = {**home, "CREDBROKER_CONFIG": str(variable), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}

        assert locate(str(option), environ, system) == option
        assert locate(None, environ, system) == variable
        assert locate(None, {**environ, "CREDBROKER_CONFIG": ""}, system) == xdg
        assert locate(None, home, system) == of_home
        assert locate(None, {}, system) == system

    def test_an_xdg_folder_replaces_the_one_in_the_home_folder(self, tmp_path: Path, home: dict[str, str]):
        """The default counts only where the variable is unset."""
        a_file(tmp_path / "home" / ".config" / "credbroker" / "config.toml")

        assert locate(None, {**home, "XDG_CONFIG_HOME": str(tmp_path / "xdg")}, tmp_path / "absent") is None

    def test_a_relative_xdg_folder_is_ignored(self, tmp_path: Path, home: dict[str, str]):
        """So the XDG specification says."""
        of_home = a_file(tmp_path / "home" / ".config" / "credbroker" / "config.toml")

        assert locate(None, {**home, "XDG_CONFIG_HOME": "xdg"}, tmp_path / "absent") == of_home

    @pytest.mark.parametrize(
        ("explicit", "variable", "place"), [("absent", "", "--config"), (None, "absent", "$CREDBROKER_CONFIG")]
    )
    def test_a_named_file_that_does_not_exist_is_a_mistake(
        self, tmp_path: Path, explicit: str | None, variable: str, place: str
    ):
        """Silently taking another configuration would mint something else."""
        with pytest.raises(ConfigError) as caught:
            locate(explicit, {"CREDBROKER_CONFIG": variable}, a_file(tmp_path / "system"))

        assert [mistake.place for mistake in caught.value.mistakes] == [place]

    def test_a_relative_name_becomes_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A minter may have another working folder."""
        monkeypatch.chdir(tmp_path)
        path = a_file(tmp_path / "mine.toml")

        assert locate("mine.toml", {}) == path

    def test_a_dangling_link_counts_as_found(self, tmp_path: Path, home: dict[str, str]):
        """It is reported when it is read; the next file in the row is not what was meant."""
        path = tmp_path / "home" / ".config" / "credbroker" / "config.toml"
        path.parent.mkdir(parents=True)
        path.symlink_to(tmp_path / "nowhere")

        assert locate(None, home, a_file(tmp_path / "system")) == path

    def test_a_name_that_cannot_be_looked_up_counts_as_found(self, tmp_path: Path, home: dict[str, str]):
        """As one in a forbidden folder: what may be there is never skipped in silence."""
        environ = {**home, "XDG_CONFIG_HOME": f"/{'x' * 5000}"}

        assert locate(None, environ, a_file(tmp_path / "system")) != tmp_path / "system"
