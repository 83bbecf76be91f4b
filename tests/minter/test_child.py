"""What a minter answers, from its own reading of the configuration: it believes nothing but names and facts."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import msgspec
import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.minter import frames
from broker.minter.frames import Brought, Call, Failed, Found, Retired
from broker.model import AccessToken, Ask, Given, IdToken
from broker.plan import Book, make_book
from broker.secret import Secret
from tests.made import keys
from tests.minter import toys

with mock.patch("broker.process.harden"):  # this process stays as it is
    from broker.minter import child

SNAPSHOT = toys.snapshot(
    one='text = "for {user}"\naudiences = ["https://a"]',
    chained='from = "one"\ndoes = "repeat_base"',
    deny='does = "deny"',
    throttle='does = "throttle"',
    bug='does = "break"',
    group='text = "{group}"',
    dumb='source = "dumb"\naudiences = ["https://a"]',
)


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "TABLE", toys.SOURCES)


@pytest.fixture
def book() -> Book:
    return make_book(toys.read(SNAPSHOT))


def answer(book: Book, credential: str = "one", do: str = "mint", given: Given | None = None, **more: str) -> object:
    """What comes back, errors as errors."""
    asked = Ask(
        credential=credential,
        facts=toys.FACTS,
        generation=more.get("generation", book.config.generation),
        given=given or Given(),
    )
    found = child.answer(book, body(frames.pack(Call(do=do, ask=asked))))  # type: ignore[arg-type]  # one of three
    found = frames.unpack_answer(body(frames.pack(found)))
    return frames.to_error(found) if isinstance(found, Failed) else found


def body(frame: bytes) -> bytes:
    return frame[frames.HEAD.size :]


def token(found: object) -> str:
    assert isinstance(found, Brought)
    assert isinstance(found.minted.value, AccessToken | IdToken)
    return found.minted.value.token.open()


class TestAnswer:
    def test_a_mint_is_by_the_rendered_spec(self, book: Book):
        """Rendered here, from names and facts: the daemon cannot say what to mint."""
        assert token(answer(book)) == "for alice"

    def test_who_asks_upstream_about_the_fresh_value(self, book: Book):
        """For `check`."""
        found = answer(book, do="who")

        assert isinstance(found, Brought)
        assert found.facts is not None
        assert found.facts.email == "for alice@example"

    def test_keys_of_a_job_that_is_over_are_ended(self, book: Book, tmp_path: Path):
        """By their ids, and with the base where there is one."""
        ended = tmp_path / "ended"
        jobs = make_book(toys.read(toys.snapshot(jobs=f'source = "jobs"\ntext = "{ended}"')))

        assert answer(jobs, "jobs", do="retire", given=Given(spent=("a", "b"))) == Retired()
        assert ended.read_text() == "- a,b"
        assert isinstance(answer(book, "one", do="retire", given=Given(spent=("a",))), Unreachable)

    @pytest.mark.parametrize("source", ["jobs", "keys"])
    @pytest.mark.parametrize("asked_of", ["upstream answers", "upstream does not"])
    def test_a_key_that_check_made_does_not_outlive_the_question(
        self, tmp_path: Path, source: str, asked_of: str, monkeypatch: pytest.MonkeyPatch
    ):
        """Nobody will ever have it, and some stores have few places for keys."""
        ended = tmp_path / "ended"
        jobs = make_book(toys.read(toys.snapshot(jobs=f'source = "{source}"\ntext = "{ended}"')))
        if asked_of == "upstream does not":
            broken = msgspec.structs.replace(toys.SOURCES[source], who=mock.Mock(side_effect=Denied("not allowed")))
            monkeypatch.setattr(child, "TABLE", {**toys.SOURCES, source: broken})

        found = answer(jobs, "jobs", do="who")

        assert isinstance(found, Brought if asked_of == "upstream answers" else Denied)
        assert ended.read_text() == "- key-1"

    @pytest.mark.parametrize(("credential", "identity"), [("one", "for alice"), ("dumb", None)])
    def test_find_says_what_there_is_and_mints_nothing(self, book: Book, credential: str, identity: str | None):
        """For zero configuration; not every source can tell."""
        assert answer(book, credential, do="find") == Found(identity)

    def test_a_chained_one_is_minted_with_its_base(self, book: Book):
        """And with a code, where somebody typed one."""
        given = Given(base=AccessToken(Secret("base ")), mfa_code=Secret("123456"))

        assert token(answer(book, "chained", given=given)) == "base 123456"

    @pytest.mark.parametrize(
        ("credential", "given"), [("chained", Given()), ("one", Given(base=AccessToken(Secret("base"))))]
    )
    def test_a_base_is_needed_where_there_is_one_and_nowhere_else(self, book: Book, credential: str, given: Given):
        """A lease of the daemon's choice must not become the identity of a mint."""
        assert isinstance(answer(book, credential, given=given), IdentityMissing)

    def test_an_id_token_is_for_its_configured_audience(self, book: Book):
        """It lets a worker be us there."""
        found = answer(book, given=Given(audience="https://a"))

        assert isinstance(found, Brought)
        assert found.minted.value == IdToken(Secret("ey.for alice"), "https://a")

    @pytest.mark.parametrize(
        ("credential", "audience"), [("one", "https://b"), ("one", ""), ("deny", "https://a"), ("dumb", "https://a")]
    )
    def test_any_other_audience_is_refused(self, book: Book, credential: str, audience: str):
        """Whatever the daemon says; and where the source mints no ID tokens at all."""
        found = answer(book, credential, given=Given(audience=audience))

        assert isinstance(found, Unreachable)
        assert "audience" in found.advice

    def test_another_generation_is_refused(self, book: Book):
        """What the daemon decides by is not what would be minted."""
        found = answer(book, generation="0" * 64)

        assert isinstance(found, Unreachable)
        assert "another configuration" in found.advice

    @pytest.mark.parametrize("name", ["nothing", "", "one "])
    def test_an_unknown_credential_is_refused(self, book: Book, name: str):
        """And not quoted."""
        found = answer(book, name)

        assert isinstance(found, Unreachable)
        assert "not configured" in found.advice

    def test_facts_that_cannot_be_rendered_are_refused(self, book: Book):
        """The same grammar as in the daemon."""
        found = answer(book, "group")

        assert isinstance(found, MintError)
        assert found.code == "Unrenderable"

    @pytest.mark.parametrize(("credential", "kind"), [("deny", Denied), ("throttle", Throttled)])
    def test_a_sources_error_comes_back_as_it_is(self, book: Book, credential: str, kind: type[MintError]):
        """With its code and its wish."""
        assert type(answer(book, credential)) is kind

    def test_a_sources_bug_fails_one_mint_and_quotes_nothing(self, book: Book):
        """Only the kind of error: its words may hold anything."""
        found = answer(book, "bug")

        assert isinstance(found, Unreachable)
        assert "LookupError" in found.advice
        assert "SECRET" not in found.advice

    @pytest.mark.parametrize("nonsense", [b"", b"\xc1", b"\x80", frames.pack(Found("x"))[4:]])
    def test_nonsense_is_answered_with_an_error(self, book: Book, nonsense: bytes):
        """And the minter lives on."""
        found = child.answer(book, nonsense)

        assert isinstance(found, Failed)
        assert type(frames.to_error(found)) is Malformed

    def test_a_base_of_another_cloud_is_the_sources_to_refuse(self, book: Book):
        """It fails this mint and nothing else."""
        assert isinstance(answer(book, "chained", given=Given(base=keys())), Unreachable)


class TestMain:
    @pytest.fixture
    def talk(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(10)
            yield ours, theirs

    def start(self, theirs: socket.socket, parent: int) -> "subprocess.Popen[bytes]":
        environment = dict(toys.launch().environment)
        command = [sys.executable, "-P", "-m", "broker.minter.child", str(theirs.fileno()), str(parent)]
        return subprocess.Popen(
            command, pass_fds=[theirs.fileno()], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def test_it_ends_when_the_daemon_closes_its_end(self, talk: tuple[socket.socket, socket.socket]):
        """Quietly, and at once."""
        ours, theirs = talk
        with self.start(theirs, os.getpid()) as process:
            theirs.close()
            ours.sendall(frames.wrap(SNAPSHOT.pack()) + frames.pack(Call(do="mint", ask=toys.ask(SNAPSHOT))))
            head = ours.recv(4, socket.MSG_WAITALL)
            found = frames.unpack_answer(ours.recv(frames.length(head), socket.MSG_WAITALL))
            ours.close()
            output = process.communicate(timeout=10)

        assert token(found) == "for alice"
        assert (process.returncode, output) == (0, (b"", b""))

    @pytest.mark.parametrize("said", [b"", b"\0", frames.wrap(SNAPSHOT.pack())[:-1]], ids=["nothing", "half", "less"])
    def test_it_ends_when_the_daemon_is_gone_in_the_middle_of_a_word(
        self, talk: tuple[socket.socket, socket.socket], said: bytes
    ):
        """There is nobody left to answer."""
        ours, theirs = talk
        with self.start(theirs, os.getpid()) as process:
            theirs.close()
            ours.sendall(said)
            ours.close()

            assert process.communicate(timeout=10) == (b"", b"")

    def test_it_does_not_start_for_a_daemon_that_is_gone(self, talk: tuple[socket.socket, socket.socket]):
        """It asks to die with its parent, and its parent may be another by then."""
        _, theirs = talk
        with self.start(theirs, 1 << 22) as process:
            process.communicate(timeout=10)

        assert process.returncode == 1
