"""IMDSv2 tokens: one uid's, for a while, to the letter."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.callers.imds_token import LENGTH, PREFIX, ImdsTokens

NOW = 12_345.678
UID, OTHER = 1000, 1001
KEY = bytes(range(32))
TOKENS = ImdsTokens(KEY)
TOKEN = TOKENS.issue(UID, 60, NOW).open()

uids = st.integers(0, 2**32 - 2)
ttls = st.integers(1, 21_600)
moments = st.floats(0, 1e9)


class TestIssue:
    def test_it_is_a_prefix_and_what_a_header_takes(self):
        """Scanners of leaked secrets know it by the prefix."""
        assert re.fullmatch(PREFIX + "[0-9a-f]{12}[A-Za-z0-9_-]{43}", TOKEN)
        assert len(TOKEN) == LENGTH

    @given(uids, ttls, moments)
    def test_all_are_of_one_length(self, uid: int, ttl: int, now: float):
        """Whoever asks, for however long, however long the machine has run."""
        assert len(TOKENS.issue(uid, ttl, now).open()) == LENGTH

    def test_nothing_is_kept(self):
        """No table, so none to flood."""
        before = TOKENS.issue(UID, 60, NOW)
        for uid in range(1000):
            TOKENS.issue(uid, 60, NOW)

        assert ImdsTokens.__slots__ == ("_keyed",)
        assert TOKENS.issue(UID, 60, NOW) == before

    def test_the_key_is_shown_nowhere(self):
        """Whoever has it is every uid."""
        shown = repr(TOKENS) + repr(TOKENS._keyed)

        assert KEY.hex() not in shown
        assert repr(KEY) not in shown


class TestHolds:
    @given(uids, ttls, moments, st.floats(0, 0.99))
    def test_it_is_good_for_its_uid_until_it_expires(self, uid: int, ttl: int, now: float, part: float):
        """By the boot clock: a step of the wall clock neither ends nor prolongs it."""
        text = TOKENS.issue(uid, ttl, now).open()

        assert TOKENS.holds(text, uid, now)
        assert TOKENS.holds(text, uid, now + ttl * part)
        assert not TOKENS.holds(text, uid, now + ttl)

    @given(uids, uids)
    def test_it_is_another_uid_s_never(self, uid: int, other: int):
        """A token that was read in somebody's traffic or logs opens nothing."""
        text = TOKENS.issue(uid, 60, NOW).open()

        assert TOKENS.holds(text, other, NOW) is (uid == other)

    @given(st.integers(0, LENGTH - 1), st.characters(codec="latin-1"))
    def test_any_altered_character_is_refused(self, at: int, character: str):
        """Of the prefix, the expiry and the HMAC alike, the slack bits of base64 included."""
        altered = TOKEN[:at] + character + TOKEN[at + 1 :]

        assert TOKENS.holds(altered, UID, NOW) is (altered == TOKEN)

    @pytest.mark.parametrize("at", range(LENGTH))
    def test_any_flipped_bit_of_any_byte_is_refused(self, at: int):
        """All of them, one by one."""
        flipped = [TOKEN[:at] + chr(ord(TOKEN[at]) ^ 1 << bit) + TOKEN[at + 1 :] for bit in range(8)]

        assert [text for text in flipped if TOKENS.holds(text, UID, NOW)] == []

    @pytest.mark.parametrize(
        "text",
        [
            "",
            TOKEN[:-1],
            TOKEN + "=",
            TOKEN + " ",
            " " + TOKEN,
            TOKEN.upper(),
            TOKEN.replace(PREFIX, "cbw_"),
            TOKEN[4:],
            TOKEN[:4] + "+" + TOKEN[5:],
            TOKEN[:4] + "-" + TOKEN[5:],
            TOKEN[:5] + "_" + TOKEN[6:],
            TOKEN[:4] + "\u0660" + TOKEN[5:],
            TOKEN + "\ud800",
            TOKEN * 100,
        ],
    )
    def test_no_other_spelling_passes(self, text: str):
        """Python's int() takes signs, underscores and the digits of every script."""
        assert not TOKENS.holds(text, UID, NOW)

    @given(st.text(max_size=80))
    def test_whatever_is_shown_is_refused_and_raises_nothing(self, text: str):
        """It is the caller's own text."""
        assert not TOKENS.holds(text, UID, NOW)

    def test_a_later_expiry_cannot_be_written_into_it(self):
        """Nor taken from another token."""
        longer = TOKENS.issue(UID, 21_600, NOW).open()

        assert not TOKENS.holds(longer[:16] + TOKEN[16:], UID, NOW)
        assert not TOKENS.holds(TOKEN[:16] + longer[16:], UID, NOW)

    def test_digits_cannot_move_between_uid_and_expiry(self):
        """What is signed has one reading."""
        ends = int(TOKEN[4:16], 16)
        moved = f"{PREFIX}{int(str(UID)[-1] + str(ends)):012x}{TOKEN[16:]}"

        assert not TOKENS.holds(moved, UID // 10, NOW)

    def test_another_start_of_the_daemon_knows_none_of_them(self):
        """The key is made anew, and was never written down."""
        assert not ImdsTokens().holds(TOKEN, UID, NOW)
        assert ImdsTokens().issue(UID, 60, NOW) != ImdsTokens().issue(UID, 60, NOW)
