"""Where the daemon is looked for, and durations as people type them."""

from pathlib import Path

import click
import pytest

from broker.cli.options import configuration, configured_socket, duration
from broker.errors import ConfigError

HERE = click.Context(click.Command("env")), click.Option(["--ttl"])


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration that $CREDBROKER_CONFIG names."""
    tmp_path.chmod(0o700)
    path = tmp_path / "config.toml"
    path.touch(0o600)
    monkeypatch.setenv("CREDBROKER_CONFIG", str(path))
    return path


class TestConfiguredSocket:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ('[daemon]\nsocket = "/run/x/broker.sock"\n', "/run/x/broker.sock"),
            ('[daemon]\nsocket = "s/broker.sock"\n', "{folder}/s/broker.sock"),
            ('[daemon]\nruntime_dir = "/run/y"\n', "/run/y/broker.sock"),
            ('[daemon]\nsocket = "/s"\nruntime_dir = "/run/y"\n', "/s"),
            ('[daemon]\nsocket = "/s"\nmisspelt = 1\n[calers]\n', "/s"),
            ("[daemon]\nsocket = 1\n", None),
            ("daemon = 1\n", None),
            ("[daemon\n", None),
            ("", None),
        ],
    )
    def test_it_is_what_the_file_says_even_if_it_has_mistakes(self, file: Path, text: str, found: str | None):
        """The daemon that runs read it when it had none, and is who reports them."""
        file.write_text(text)

        assert configured_socket() == (found and found.format(folder=file.parent))

    def test_a_file_that_is_not_there_names_none(self, file: Path):
        """Then the usual places are looked at."""
        file.unlink()

        assert configured_socket() is None

    def test_nor_does_one_that_is_no_text(self, file: Path):
        """Whatever it is."""
        file.write_bytes(b"\xff\xfe")

        assert configured_socket() is None


class TestConfiguration:
    def test_none_is_zero_configuration(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Nobody has written one."""
        monkeypatch.setattr("broker.config.find.SYSTEM", tmp_path / "system")
        monkeypatch.setattr("broker.config.find.locate.__defaults__", (tmp_path / "system",))
        for name in ("CREDBROKER_CONFIG", "XDG_CONFIG_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))

        assert configuration(None) is None

    def test_one_that_is_named_and_not_there_is_a_mistake(self):
        """Another is never taken in its stead."""
        with pytest.raises(ConfigError, match="--config: names a file that does not exist"):
            configuration("/nonexistent/config.toml")


class TestDuration:
    @pytest.mark.parametrize(("text", "seconds"), [("45m", 2700), ("8h", 28_800), ("1h30m", 5400), ("90", 90)])
    def test_it_is_seconds(self, text: str, seconds: int):
        """As in the configuration, where a plain number is seconds too."""
        assert duration(*HERE, text) == seconds

    @pytest.mark.parametrize("text", ["", "0", "0h", "soon", "-1", "1.5h", "٣"])
    def test_anything_else_is_wrong_usage(self, text: str):
        """Nothing lives for no time."""
        with pytest.raises(click.BadParameter, match='"45m"'):
            duration(*HERE, text)
