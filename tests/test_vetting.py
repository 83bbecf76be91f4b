"""A configuration from its files to what is rendered of it: every mistake of both stages at once."""

from pathlib import Path

import pytest

from broker import vetting
from broker.config.shape import DaemonSettings
from broker.errors import ConfigError, Mistake
from broker.plan import make_book

ROLE = 'source = "aws-assume-role"\nrole_arn = "arn:aws:iam::123456789012:role/x"\n'
NOWHERE = """
[credentials.lake]
source = "databricks-oauth"
host = "http://x.example"
client_id = "7"
client_secret = "dapi"
"""
TOO_LONG = f"""
[credentials.role]
{ROLE}source_identity = "{{caller}}-{{caller}}"
[credentials.other]
{ROLE}
[callers.{"c" * 60}]
uid = 5
grants = ["role", "other"]
"""
THIRSTY = f"""
[credentials.each]
{ROLE}session_name = "{{caller}}"
duration = "15m"
[daemon.limits]
upstream_per_second = 1
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def mistakes(folder: Path, text: str) -> list[str]:
    """As people read them, without the folder."""
    with pytest.raises(ConfigError) as caught:
        vetting.load(written(folder, text))
    return [str(one).replace(f"{folder}/", "") for one in caught.value.mistakes]


def callers(number: int) -> str:
    return "".join(f"[callers.c{one}]\nuid = {one + 1}\ngrants = ['each']\n" for one in range(number))


class TestLoad:
    def test_a_configuration_without_a_mistake_is_as_it_was_read(self, tmp_path: Path):
        """With the files."""
        text = f"[credentials.role]\n{ROLE}"
        config, snapshot = vetting.load(written(tmp_path, text))

        assert [one.name for one in config.credentials] == ["role"]
        assert snapshot.files == ((str(tmp_path / "config.toml"), text.encode()),)

    def test_no_stage_hides_what_the_other_finds(self, tmp_path: Path):
        """A misspelt key, a secret in plain text, plain http, what outgrows its field, and a budget: in one run."""
        found = mistakes(tmp_path, f"{THIRSTY}unknown = 1\n{NOWHERE}{TOO_LONG}{callers(300)}")

        assert [one.partition(": ")[0].partition(" ")[2] for one in found] == [
            "[daemon.limits] upstream_per_second",
            "[daemon.limits] unknown",
            "[credentials.lake] host",
            "[credentials.lake] client_secret",
            f"[callers.{'c' * 60}] grants",
        ]
        assert found[2].endswith("must be https, or http to this machine")

    def test_each_stands_where_it_is_written(self, tmp_path: Path):
        """File and line, for people and for programs."""
        path = written(tmp_path, TOO_LONG)
        with pytest.raises(ConfigError) as caught:
            vetting.load(path)

        (mistake,) = caught.value.mistakes
        line = TOO_LONG.splitlines().index('grants = ["role", "other"]') + 1
        assert mistake == Mistake(f"{path}:{line} [callers.{'c' * 60}] grants", mistake.text, str(path), line)

    def test_what_is_wrong_is_not_told_a_second_time_by_what_hangs_on_it(self, tmp_path: Path):
        """A caller's name that is none fits into no template; a credential that is none is granted all the same."""
        text = f"[credentials.role]\n{ROLE}[credentials.bad]\n{ROLE}duration = 1\n"
        found = mistakes(tmp_path, f'{text}[callers."a b"]\nuid = 5\ngrants = ["role", "bad"]\n')

        assert [one.partition(" ")[2].partition(":")[0] for one in found] == [
            "[credentials.bad] duration", '[callers."a b"]',
        ]  # fmt: skip

    def test_tables_that_are_none_do_not_hide_what_is_included(self, tmp_path: Path):
        """What cannot be told where it belongs is told at the main file."""
        (tmp_path / "more.toml").write_text(TOO_LONG)
        found = mistakes(tmp_path, "callers = 7\n[daemon]\ninclude = 'more.toml'")

        assert len(found) == 2
        assert found[1].startswith("more.toml:")


class TestAgain:
    def test_gives_the_book_of_what_is_read(self, tmp_path: Path):
        """As `make_book` would."""
        path = written(tmp_path, f"[credentials.role]\n{ROLE}")
        config, _, book = vetting.again(path, DaemonSettings())

        assert (book.config, book.credentials) == (config, make_book(config).credentials)

    def test_a_change_that_needs_a_restart_is_told_with_the_rest(self, tmp_path: Path):
        """At its line."""
        path = written(tmp_path, f"[daemon]\nlisten = ['127.0.0.1:1']\nimds = true\n{TOO_LONG}")
        with pytest.raises(ConfigError) as caught:
            vetting.again(path, DaemonSettings())

        assert [one.line for one in caught.value.mistakes][:2] == [2, 3]
        assert len(caught.value.mistakes) == 3
