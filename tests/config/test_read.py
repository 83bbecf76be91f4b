import hashlib
import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker import sources
from broker.config import zero
from broker.config.place import lines
from broker.config.read import generation, parse, survey, take
from broker.config.shape import Config, Snapshot
from broker.errors import ConfigError
from tests.config import toy
from tests.config.documents import CANARY, COMMON, WRONG, documents, needed
from tests.config.toy import MAIN, TABLE, USERS, config, mistakes, toml

SESSION = "source = 'aws-session'"


def a_file(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(mode=0o755, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def read(path: Path) -> Config:
    """What is right in the files. Raises ConfigError with all that is not."""
    reading = survey(path, table=TABLE)
    reading.raise_if_any()
    return reading.config


class TestSurvey:
    def test_gives_what_the_files_say(self, tmp_path: Path):
        """Credentials and callers of included files after those of the main one."""
        text = f"[daemon]\ninclude = 'conf.d/*.toml'\n[credentials.b]\n{SESSION}\n[callers.y]\nuid = 7"
        path = a_file(tmp_path / "config.toml", text)
        more = a_file(
            tmp_path / "conf.d" / "a.toml", f"[credentials.a]\n{SESSION}\n[callers.x]\nuid = 5\ngrants = ['b']"
        )

        found = read(path)

        assert [credential.name for credential in found.credentials] == ["b", "a"]
        assert [caller.name for caller in found.callers] == ["y", "x"]
        assert found.files == (str(path), str(more))
        assert not found.zero

    def test_mistakes_of_files_and_of_what_is_in_them_are_told_at_once(self, tmp_path: Path):
        """In the order of the files."""
        path = a_file(tmp_path / "config.toml", "daemon.include = 'conf.d/*'\nx = 1", 0o666)
        broken = a_file(tmp_path / "conf.d" / "a.toml", "[credentials.a\n")
        strange = a_file(tmp_path / "conf.d" / "b.toml", "[callers.b]\nuid = 1\nuuid = 2")

        with pytest.raises(ConfigError) as caught:
            read(path)

        assert [mistake.place for mistake in caught.value.mistakes] == [
            str(path),
            f"{path}:2 x",
            f"{broken}:1",
            f"{strange}:3 [callers.b] uuid",
        ]

    def test_an_absent_file_is_one_mistake(self, tmp_path: Path):
        """And an exit status of 2."""
        with pytest.raises(ConfigError) as caught:
            read(tmp_path / "x")

        assert str(caught.value) == f"{tmp_path}/x: does not exist"
        assert caught.value.exit_status == 2

    def test_who_reads_decides_whose_files_may_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """The effective user."""
        path = a_file(tmp_path / "config.toml", "")
        asked: list[int] = []

        def take(_: Path, __: object, reader: int) -> tuple[()]:
            asked.append(reader)
            return ()

        monkeypatch.setattr("broker.config.disk.take", take)
        monkeypatch.setattr("os.geteuid", lambda: 1234)

        read(path)

        assert asked == [1234]

    def test_gives_the_files_as_they_were_read(self, tmp_path: Path):
        """So that a minter sees what the daemon saw, whatever happens to them afterwards."""
        path = a_file(tmp_path / "config.toml", f"[daemon]\nsocket = 'x'\n[credentials.a]\n{SESSION}")
        reading = survey(path, table=TABLE)
        path.unlink()

        assert parse(Snapshot.unpack(reading.snapshot.pack()), table=TABLE) == reading.config


class TestTake:
    def test_gives_the_files_whatever_is_in_them(self, tmp_path: Path):
        """Whether they have changed can be told without reading them."""
        path = a_file(tmp_path / "config.toml", "[callers")

        assert take(path) == Snapshot(((str(path), b"[callers"),))

    def test_files_that_others_may_have_written_are_refused(self, tmp_path: Path):
        """And those that are not there."""
        path = a_file(tmp_path / "config.toml", "")
        path.chmod(0o666)
        for place in (path, tmp_path / "other.toml"):
            with pytest.raises(ConfigError):
                take(place)


class TestGeneration:
    def test_is_one_of_names_and_contents_in_order(self):
        """A minter with another one is replaced."""
        files = (("a", b"bc"), ("d", b""))
        others = [(("ab", b"c"), ("d", b"")), (("d", b""), ("a", b"bc")), (("a", b"bc"),), (("a", b"bcd"), ("", b""))]

        assert len({generation(each) for each in (files, *others)}) == 5
        assert config("").generation == generation(((MAIN, b""),))

    def test_says_nothing_of_what_is_in_the_files(self):
        """It is a digest."""
        assert len(bytes.fromhex(generation(((MAIN, b"x"),)))) == hashlib.sha256().digest_size


class TestParse:
    def test_an_empty_file_is_a_configuration(self):
        """Which gives nothing to anybody."""
        found = config("")

        assert (found.credentials, found.callers, found.files) == ((), (), (MAIN,))

    def test_zero_configuration_travels_in_a_snapshot_too(self):
        """By what it is made of."""
        assert parse(Snapshot(zero=("/run/x", 5)), table=TABLE) == zero.configuration("/run/x", 5, table=TABLE)

    def test_a_misspelt_table_gets_a_suggestion(self):
        """And a foreign one none."""
        assert mistakes("[credential.a]\nx = 1\n[zzz]\n[Daemon]") == [
            "config.toml:1 credential: unknown table; did you mean `credentials`?",
            "config.toml:3 zzz: unknown table",
            "config.toml:4 Daemon: unknown table; did you mean `daemon`?",
        ]

    @pytest.mark.parametrize("section", ["daemon", "credentials", "callers"])
    def test_a_section_is_a_table(self, section: str):
        """Not a list, not a text."""
        assert mistakes(f"{section} = 'x'") == [f"config.toml:1 [{section}]: must be a table"]

    def test_an_included_file_says_nothing_of_the_daemon(self):
        """Whoever may write a credential does not decide where the daemon listens."""
        assert mistakes("", a="[daemon]\nlisten = 3") == [
            "conf.d/a.toml:1 [daemon]: belongs into the main file; an included one has credentials and callers"
        ]

    def test_a_name_that_comes_twice_is_told_with_both_places(self):
        """Which one is meant is for people to decide."""
        text = f"\n[credentials.a]\n{SESSION}\n[callers.x]\nuid = 5"

        assert [found.replace("/etc/credbroker/", "") for found in mistakes(text, m=text)] == [
            "conf.d/m.toml:2 [credentials.a]: is there already: config.toml:2 [credentials.a]",
            "conf.d/m.toml:4 [callers.x]: is there already: config.toml:4 [callers.x]",
        ]

    def test_a_broken_main_file_hides_no_mistake_of_an_included_one(self):
        """Every mistake at once."""
        assert len(mistakes("[daemon", a="[callers.x]\nuid = 'nobody here'")) == 2

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("a = 1\nb = c", "config.toml:2: is not valid TOML: invalid value"),
            ("a = 'CANARY", "config.toml:1: is not valid TOML"),
            ("a = [1,\n", "config.toml:2: is not valid TOML: invalid value"),
            ("[a]\n[a]", "config.toml:2: is not valid TOML"),
            ("a = 1\r\nb = 1\r\nb = 2\r\n", "config.toml:3: is not valid TOML: cannot overwrite a value"),
            (
                f"a = {'[' * 5000}",
                "config.toml: is not valid TOML: a number is too long, or something is nested too deeply",
            ),
            (
                f"a = {'9' * 5000}",
                "config.toml: is not valid TOML: a number is too long, or something is nested too deeply",
            ),
        ],
    )
    def test_what_is_no_toml_is_told_with_its_line(self, text: str, mistake: str):
        """In TOML's own words where these quote nothing."""
        assert mistakes(text) == [mistake]

    def test_bytes_that_are_no_text_are_told_with_their_line(self):
        """An editor's other encoding."""
        with pytest.raises(ConfigError) as caught:
            parse(Snapshot(((MAIN, b"a = 1\nb = '\xe4'"),)), table=TABLE)

        assert str(caught.value) == f"{MAIN}:2: is not UTF-8 text"

    def test_users_are_looked_up_by_whom_the_reader_names(self):
        """A minter needs no name service."""
        text = b"[callers.x]\nuid = 'no such user'"

        assert parse(Snapshot(((MAIN, text),)), table=TABLE, uids=lambda _: 7).callers[0].rules[0].uid == 7
        with pytest.raises(ConfigError):
            parse(Snapshot(((MAIN, text),)), table=TABLE)


def outcome(content: bytes, table: dict[str, sources.Source]) -> Config | ConfigError:
    try:
        return parse(Snapshot(((MAIN, content),)), table=table, uids=USERS.get)
    except ConfigError as error:
        return error


def written(document: dict[str, Any]) -> str:
    return "\n".join(f"{key} = {toml(value)}" for key, value in document.items())


class TestAnyDocument:
    @given(st.data())
    @settings(max_examples=200, deadline=None)
    @pytest.mark.parametrize("table", [toy.TABLE, sources.TABLE], ids=["toy", "real"])
    def test_is_read_or_refused_without_quoting_a_value(self, table: Any, data: st.DataObject):
        """Never another exception; and a secret in the wrong place is not spread."""
        found = outcome(written(data.draw(documents(table))).encode(), table)

        assert isinstance(found, Config | ConfigError)
        if isinstance(found, ConfigError):
            assert found.mistakes
            assert CANARY not in str(found)

    @pytest.mark.parametrize("source", sources.TABLE.values(), ids=list(sources.TABLE))
    def test_with_one_key_that_is_wrong_is_read_or_refused_likewise(self, source: sources.Source):
        """Every key of every source, with whatever may stand there: so its rules between keys are reached too."""
        keys = [field.encode_name for field in msgspec.structs.fields(source.spec)]
        for key, value in itertools.product([*COMMON, *keys], WRONG):
            found = outcome(written({"credentials": {"a": {**needed(source), key: value}}}).encode(), sources.TABLE)

            assert CANARY not in str(found if isinstance(found, ConfigError) else ""), key

    @given(st.text(alphabet="[]{}=\"'.,\n\\# \tab1\r\x00é"))
    @example("a = 'CANARY")
    @settings(max_examples=500, deadline=None)
    def test_that_is_not_toml_at_all_is_refused(self, text: str):
        """Neither the reader nor the search for lines trips over it."""
        assert isinstance(outcome(text.encode(), toy.TABLE), Config | ConfigError)

    @given(st.data())
    @settings(max_examples=100, deadline=None)
    def test_lines_are_found_in_whatever_toml_accepts(self, data: st.DataObject):
        """The search for lines may not fail where a mistake is to be told."""
        document = data.draw(documents(toy.TABLE))
        text = written(document)

        assert set(lines(text)) == {(key,) for key in document}

    @given(st.binary(max_size=30))
    @settings(max_examples=200, deadline=None)
    def test_may_be_any_bytes(self, content: bytes):
        """Likewise."""
        assert isinstance(outcome(content, toy.TABLE), Config | ConfigError)
