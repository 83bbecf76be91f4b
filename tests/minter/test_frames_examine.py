"""The question whose a token is, and its answer, as they travel."""

import pytest

from broker.errors import Malformed
from broker.minter import frames
from broker.model import Ask, CallerFacts, Keys, Pod, Review, Reviewed
from broker.secret import Secret


def over(frame: bytes) -> bytes:
    """What arrives of a frame."""
    assert frames.length(frame[: frames.HEAD.size]) == len(frame) - frames.HEAD.size
    return frame[frames.HEAD.size :]


class TestExamine:
    @pytest.mark.parametrize("token", [None, Secret("a.b.c")])
    @pytest.mark.parametrize("keys", [None, Keys("https://issuer", b'{"keys": []}')])
    def test_a_question_arrives_as_it_was_asked(self, token: Secret | None, keys: Keys | None):
        """The token is a secret again on the other side."""
        question = frames.Examine(Review(token=token, generation="g", keys=keys))

        assert frames.unpack_call(over(frames.pack(question))) == question

    def test_it_is_told_apart_from_a_mint(self):
        """Both come by the same socket."""
        call = frames.Call(do="mint", ask=Ask(credential="a", facts=CallerFacts(caller="b"), generation="g"))

        assert frames.unpack_call(over(frames.pack(call))) == call

    @pytest.mark.parametrize(
        "reviewed",
        [
            Reviewed(reason="review-refused"),
            Reviewed(keys=Keys("https://issuer", b"{}")),
            Reviewed(
                pod=Pod(namespace="ml", service_account="t", name="n", uid="u", node="x", audiences=("a", "b")),
                by_keys=True,
            ),
        ],
    )
    def test_an_answer_arrives_as_it_was_given(self, reviewed: Reviewed):
        """Pods and keys hold no secret."""
        assert frames.unpack_answer(over(frames.pack(frames.Examined(reviewed)))) == frames.Examined(reviewed)

    def test_an_answer_is_no_question(self):
        """A minter that answers with a question is no minter."""
        with pytest.raises(Malformed):
            frames.unpack_call(over(frames.pack(frames.Examined(Reviewed()))))
