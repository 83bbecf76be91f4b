"""Backblaze's words as errors of ours."""

import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled
from broker.secret import Secret
from broker.sources.b2_errors import refusal
from broker.sources.json_api import Answered


def answered(text: str, status: int = 400) -> Answered:
    """A refusal."""
    return Answered(status=status, text=Secret(text), took=0.1, arrived=0.0)


class TestRefusal:
    @pytest.mark.parametrize(
        ("call", "word", "error", "code"),
        [
            ("b2_authorize_account", "unauthorized", IdentityMissing, "Unauthorized"),
            ("b2_create_key", "unauthorized", Denied, "Unauthorized"),
            ("b2_create_key", "bad_bucket_id", Denied, "BadBucketId"),
            ("b2_create_key", "transaction_cap_exceeded", Throttled, "TransactionCapExceeded"),
            ("b2_create_key", "CANARY", Denied, "Http400"),
        ],
    )
    def test_a_word_means_what_it_means_for_that_call(self, call: str, word: str, error: type[MintError], code: str):
        """One that is not known is not repeated."""
        found = refusal(call, "data", answered(f'{{"code":"{word}","message":"CANARY"}}'))

        assert (type(found), found.code) == (error, code)
        assert "CANARY" not in str(found)

    def test_no_word_is_no_answer(self):
        """A proxy in between, perhaps."""
        assert isinstance(refusal("b2_create_key", "data", answered("<html>CANARY")), Malformed)
