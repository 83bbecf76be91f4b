"""What daemon and minter say to each other: secrets cross whole, nonsense becomes an error that quotes nothing."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import (
    BrokerError,
    Denied,
    IdentityMissing,
    Malformed,
    MintError,
    NotReady,
    Throttled,
    Unreachable,
)
from broker.minter import frames
from broker.minter.frames import Brought, Call, Failed, Found
from broker.model import (
    AccessToken,
    Ask,
    AwsKeys,
    AzureToken,
    CallerFacts,
    DatabricksToken,
    Facts,
    Files,
    Given,
    Minted,
    Variables,
)
from broker.plan import Unrenderable
from broker.secret import Secret
from tests.made import a_minted, a_token, an_id_token, keys

ASK = Ask(credential="train", facts=CallerFacts(caller="trainer", uid="1000"), generation="0" * 64)
CALLS = [
    Call(do="mint", ask=ASK),
    Call(do="find", ask=ASK),
    Call(do="retire", ask=msgspec.structs.replace(ASK, given=Given(base=a_token(), spent=("GOOG1E", "GOOG2E")))),
    Call(do="who", ask=msgspec.structs.replace(ASK, given=Given(base=keys(), mfa_code=Secret("123456")))),
    Call(do="mint", ask=msgspec.structs.replace(ASK, given=Given(base=a_token(), audience="https://x"))),
]
ANSWERS: list[frames.Answer] = [
    Failed("Denied", "advice", "AccessDenied", 7.5),
    Found(None),
    Found("a profile"),
    frames.Retired(),
    Brought(a_minted(keys(), facts=Facts(arn="arn", handed_on=True), skew=-2.5)),
    Brought(a_minted(a_token()), Facts(email="e")),
    Brought(a_minted(an_id_token())),
    Brought(a_minted(AzureToken(Secret("t"), "https://storage.azure.com"))),
    Brought(a_minted(DatabricksToken(Secret("t"), "https://dbc.example"))),
    Brought(a_minted(Variables((("A", Secret("a")), ("B", Secret("b")))), again=300.0)),
    Brought(a_minted(Files((("rpst", Secret("a")), ("key.pem", Secret("b")))))),
]
answers: st.SearchStrategy[frames.Answer] = st.sampled_from(ANSWERS)
SECRET = "TOP-SECRET"  # in frames that cannot be read


def body(frame: bytes) -> bytes:
    """What follows the head, which says how long it is."""
    head, rest = frame[: frames.HEAD.size], frame[frames.HEAD.size :]
    assert frames.length(head) == len(rest)
    return rest


class TestFrames:
    @pytest.mark.parametrize("call", CALLS, ids=lambda call: call.do)
    def test_a_call_arrives_as_it_was_sent(self, call: Call):
        """Names, facts, the base lease and a code that somebody typed."""
        assert frames.unpack_call(body(frames.pack(call))) == call

    @pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
    def test_an_answer_arrives_as_it_was_sent(self, answer: frames.Answer):
        """Each kind of value as itself."""
        assert frames.unpack_answer(body(frames.pack(answer))) == answer

    @settings(deadline=None)
    @given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
    def test_a_secret_crosses_whole(self, one: str, other: str):
        """Whatever letters a cloud may use, and none at all."""
        sent = Brought(Minted(AwsKeys("A", Secret(one), Secret(other)), 1.0, 2.0))
        found = frames.unpack_answer(body(frames.pack(sent)))

        assert isinstance(found, Brought)
        assert isinstance(found.minted.value, AwsKeys)
        assert found.minted.value.secret_access_key.open() == one
        assert found.minted.value.session_token.open() == other

    def test_a_secret_is_a_secret_again(self):
        """Never a bare text on the other side."""
        found = frames.unpack_call(body(frames.pack(CALLS[2])))

        assert "123456" not in repr(found)
        assert "Secret(...)" in repr(found)

    def test_a_frame_that_is_too_long_is_not_sent(self):
        """Nor is one believed that says it is."""
        with pytest.raises(Malformed):
            frames.pack(Brought(Minted(AccessToken(Secret("x" * frames.LONGEST)), 1.0, 2.0)))
        with pytest.raises(Malformed):
            frames.length(b"\xff\xff\xff\xff")
        assert frames.length(frames.HEAD.pack(frames.LONGEST)) == frames.LONGEST


class TestNonsense:
    @pytest.mark.parametrize(
        "nonsense",
        [
            b"",
            b"\xc1",
            b"\xff" * 100,
            msgspec.msgpack.encode(None),
            msgspec.msgpack.encode(SECRET),
            msgspec.msgpack.encode({"type": SECRET}),
            msgspec.msgpack.encode({"type": "found", "identity": 7}),
            msgspec.msgpack.encode({"type": "minted", "minted": {"value": {"type": "aws", "access_key_id": SECRET}}}),
            msgspec.msgpack.encode({"do": SECRET, "ask": {}}),
            msgspec.msgpack.encode({"type": "found", "identity": SECRET}).replace(b"TOP", b"\xff\xfe\xfd"),
            b"\x82\xa4type\xa5found\xa1x" + b"\x91" * 200_000,
            b"\x91" * 200_000,
        ],
    )
    def test_it_is_malformed_and_not_quoted(self, nonsense: bytes):
        """Neither by the error nor by one behind it: it could be half of a secret."""
        for unpack in (frames.unpack_call, frames.unpack_answer):
            with pytest.raises(Malformed) as caught:
                unpack(nonsense)
            assert SECRET[4:] not in str(caught.value)
            assert caught.value.__suppress_context__

    @settings(deadline=None)
    @given(st.binary())
    def test_no_bytes_do_worse(self, nonsense: bytes):
        """Malformed, or by luck a message."""
        for unpack in (frames.unpack_call, frames.unpack_answer):
            try:
                unpack(nonsense)
            except Malformed:
                continue

    @settings(deadline=None)
    @given(st.data())
    def test_no_damage_does_worse(self, data: st.DataObject):
        """A byte or three of a good frame are others."""
        damaged = bytearray(body(frames.pack(data.draw(answers))))
        for _ in range(data.draw(st.integers(1, 3))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        try:
            frames.unpack_answer(bytes(damaged))
        except Malformed:
            return

    @pytest.mark.parametrize("stranger", [object(), frames.HEAD, ValueError("x")], ids=lambda one: type(one).__name__)
    def test_nothing_but_messages_is_carried(self, stranger: Any):
        """A value that is none is a mistake of ours, and named by its type alone."""
        with pytest.raises(TypeError, match=f"a frame carries no {type(stranger).__name__}"):
            frames.pack(Found(stranger))


class TestErrors:
    @pytest.mark.parametrize("kind", [Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable])
    def test_an_error_is_raised_as_it_was(self, kind: type[MintError]):
        """The keeper goes by its class, code and wish."""
        sent = kind("do this", code="Code", retry_after=7.5)
        found = frames.to_error(frames.from_error(sent))

        assert type(found) is kind
        assert (found.advice, found.code, found.retry_after) == ("do this", "Code", 7.5)

    @pytest.mark.parametrize("error", [Unrenderable("cannot be filled"), NotReady("wait"), BrokerError("oh")])
    def test_any_other_error_of_ours_is_a_mint_error(self, error: BrokerError):
        """With its advice and its code."""
        found = frames.to_error(frames.from_error(error))

        assert type(found) is MintError
        assert (found.advice, found.code) == (error.advice, type(error).__name__)

    def test_a_name_that_nobody_knows_is_one_too(self):
        """A minter of another version."""
        assert type(frames.to_error(Failed("SystemExit", "advice", "Code"))) is MintError
