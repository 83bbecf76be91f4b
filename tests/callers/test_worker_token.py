"""Worker tokens: what is kept of them, who may show them, and when they end."""

import hashlib
import math
import re
import secrets

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.callers.worker_token import Kept, Purpose, TokenEntry, TokenOrder, WorkerTokens
from broker.errors import Refused
from broker.model import Caller, CallerFacts
from tests.callers.tokens import TRAINER, WALL, a_caller, an_order, issued


class TestIssue:
    @pytest.mark.parametrize(("purpose", "prefix"), [("header", "cbw_"), ("path", "cbp_")])
    def test_a_token_is_a_prefix_and_43_characters(self, purpose: Purpose, prefix: str) -> None:
        """Which a URL takes as they are."""
        text, _ = issued(WorkerTokens(), an_order(purpose=purpose))

        assert re.fullmatch(prefix + "[A-Za-z0-9_-]{43}", text)

    def test_no_two_are_alike(self) -> None:
        """Neither tokens nor ids."""
        tokens = WorkerTokens()
        pairs = [issued(tokens) for _ in range(200)]

        assert len({text for text, _ in pairs}) == len({entry.id for _, entry in pairs}) == 200

    def test_the_id_is_public_and_no_part_of_the_token_or_its_digest(self) -> None:
        """It stands in logs."""
        text, entry = issued(WorkerTokens())

        assert re.fullmatch("[0-9a-f]{12}", entry.id)
        assert entry.id not in text
        assert entry.id not in hashlib.sha256(text.encode()).hexdigest()

    def test_an_id_that_is_taken_is_not_given_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Revoking it would end the wrong token."""
        tokens = WorkerTokens()
        taken = issued(tokens)[1].id
        drawn = iter([taken, taken, "0123456789ab"])
        monkeypatch.setattr(secrets, "token_hex", lambda _bytes: next(drawn))

        assert issued(tokens)[1].id == "0123456789ab"

    def test_the_entry_says_for_whom_by_whom_and_how_long(self) -> None:
        """On both clocks."""
        order = TokenOrder(caller=TRAINER, purpose="path", ttl=60.0, issued_by=1000, held=True)
        _, entry = issued(WorkerTokens(), order, now=5.0)

        assert entry == TokenEntry(
            id=entry.id,
            caller=msgspec.structs.replace(TRAINER, token_id=entry.id),
            purpose="path",
            issued_by=1000,
            issued_at=WALL + 5,
            expires_at=WALL + 65,
            began=5.0,
            ends=65.0,
            held=True,
        )

    def test_only_the_digest_is_kept(self) -> None:
        """Whoever reads the table cannot show what stands in it."""
        tokens = WorkerTokens()
        text, entry = issued(tokens)
        kept = repr([getattr(tokens, name) for name in WorkerTokens.__slots__])

        assert text[4:] not in kept
        assert tokens.dump() == (Kept(hashlib.sha256(text.encode()).digest(), entry),)

    @pytest.mark.parametrize("ttl", [0.0, -1.0, math.nan])
    def test_a_token_that_lives_no_time_is_refused(self, ttl: float) -> None:
        """It could only confuse."""
        with pytest.raises(Refused, match="longer than 0") as refused:
            issued(WorkerTokens(), an_order(ttl=ttl))

        assert refused.value.status == 400


class TestFind:
    def test_a_token_is_found_by_its_text(self) -> None:
        """Every time it is shown."""
        tokens = WorkerTokens()
        text, entry = issued(tokens)

        assert tokens.find(text, "header", 1.0) is tokens.find(text, "header", 2.0) is entry

    @pytest.mark.parametrize(("purpose", "other"), [("header", "path"), ("path", "header")])
    def test_a_token_opens_one_of_the_two_ways_only(self, purpose: Purpose, other: Purpose) -> None:
        """A path ends up in error texts, so its token must not open what a header opens."""
        tokens = WorkerTokens()
        text, _ = issued(tokens, an_order(purpose=purpose))
        twin = ("cbp_" if other == "path" else "cbw_") + text[4:]

        assert tokens.find(text, other, 1.0) is None
        assert tokens.find(twin, other, 1.0) is None
        assert tokens.find(twin, purpose, 1.0) is None

    def test_it_ends_on_time(self) -> None:
        """Swept or not."""
        tokens = WorkerTokens()
        text, _ = issued(tokens)

        assert tokens.find(text, "header", 59.9) is not None
        assert tokens.find(text, "header", 60.0) is None

    @given(st.integers(0, 46), st.characters(categories=["L", "N", "P"]))
    def test_one_other_character_finds_nothing(self, place: int, other: str) -> None:
        """Wherever it stands."""
        tokens = WorkerTokens()
        text, entry = issued(tokens)
        shown = text[:place] + other + text[place + 1 :]

        assert tokens.find(shown, "header", 1.0) is (entry if shown == text else None)

    @given(st.text(st.characters(), max_size=60))
    def test_noise_finds_nothing(self, noise: str) -> None:
        """Not even lone surrogates raise."""
        tokens = WorkerTokens()
        issued(tokens)

        assert tokens.find(noise, "header", 1.0) is None
        assert tokens.find(noise[:1] * 47, "header", 1.0) is None


class TestByDigest:
    @pytest.mark.parametrize("purpose", ["header", "path"])
    def test_a_live_token_is_found_by_its_digest(self, purpose: Purpose) -> None:
        """Whatever it is for: who asks so shows it nowhere."""
        tokens = WorkerTokens()
        text, entry = issued(tokens, an_order(purpose=purpose))
        digest = hashlib.sha256(text.encode()).digest()

        assert (tokens.by_digest(digest, 59.0), tokens.by_digest(digest, 60.0)) == (entry, None)
        assert tokens.by_digest(text.encode(), 0.0) is None


class TestEntry:
    def test_its_caller_is_who_it_was_ordered_for_and_known_by_the_token(self) -> None:
        """All its matches, and the credentials that it was narrowed to."""
        matches = (CallerFacts(caller="trainer", user="bob"), CallerFacts(caller="other"))
        ordered = Caller(matches=matches, how="uid", uid=7, only=("train",))
        _, entry = issued(WorkerTokens(), an_order(ordered))

        assert entry.caller == Caller(matches=matches, how="token", uid=7, token_id=entry.id, only=("train",))

    @pytest.mark.parametrize(
        ("bound", "attested", "attesting", "fits"),
        [
            (None, None, True, True),
            (None, 9, True, True),
            (7, 7, True, True),
            (7, 9, True, False),
            (7, 0, True, False),
            (7, None, True, False),
            (7, None, False, True),
        ],
    )
    def test_a_bound_token_is_its_uid_s_alone(
        self, *, bound: int | None, attested: int | None, attesting: bool, fits: bool
    ) -> None:
        """In doubt it is refused: a thief who half-closes his connection would be in doubt."""
        _, entry = issued(WorkerTokens(), an_order(a_caller("trainer", uid=bound)))

        assert entry.fits(attested, attesting=attesting) is fits
