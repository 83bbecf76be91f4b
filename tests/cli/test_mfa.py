"""Minting that may need a code: when one is asked for, how often, and where there is nobody to ask."""

import os
from collections.abc import Callable

import pytest

from broker import control_api as api
from broker.cli import mfa
from broker.cli.mfa import ask_mfa_code, mint
from broker.errors import BrokerError, IdentityMissing


class Daemon:
    """A daemon that answers a refresh with these errors in turn, then with a lease; it remembers what it was asked."""

    def __init__(self, *codes: str) -> None:
        self.asked: list[api.RefreshOrder] = []
        self._codes = iter(codes)

    def refresh(self, _: str, order: api.RefreshOrder) -> list[api.LeaseRow]:
        """As `Client.refresh`."""
        self.asked.append(order)
        code = next(self._codes, None)
        if code is not None:
            raise BrokerError("upstream said no", code=code)
        return []


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Somebody who types these codes."""

    def types(*codes: str) -> None:
        rest = iter(codes)
        monkeypatch.setattr(mfa, "ask_mfa_code", lambda _: next(rest))

    return types


class TestMint:
    def test_no_code_is_asked_for_where_none_is_needed(self, typing: Callable[..., None]):
        """The first try goes without."""
        typing()
        mint(daemon := Daemon(), "train", ("me",))  # type: ignore[arg-type]  # as a Client is used

        assert daemon.asked == [api.RefreshOrder(callers=("me",))]

    def test_a_code_is_asked_for_until_it_is_good(
        self, typing: Callable[..., None], capsys: pytest.CaptureFixture[str]
    ):
        """Each refusal is told."""
        typing("1", "2")
        mint(daemon := Daemon("MfaRequired", "MfaRefused"), "train")  # type: ignore[arg-type]  # likewise

        assert [order.mfa_code for order in daemon.asked] == [None, "1", "2"]
        assert capsys.readouterr().err == "credbroker: train: upstream said no\n"

    def test_a_chain_may_need_two(self, typing: Callable[..., None], capsys: pytest.CaptureFixture[str]):
        """One for its base and one for itself."""
        typing("1", "2")
        mint(Daemon("MfaRequired", "MfaRequired"), "train")  # type: ignore[arg-type]  # likewise

        assert capsys.readouterr().err == "credbroker: train: one more code is needed\n"

    def test_three_are_enough(self, typing: Callable[..., None]):
        """Whoever has none would be asked for ever."""
        typing("1", "2", "3")
        with pytest.raises(BrokerError, match="upstream said no"):
            mint(Daemon("MfaRequired", *["MfaRefused"] * 9), "train")  # type: ignore[arg-type]  # likewise

    def test_what_is_no_matter_of_codes_is_not_tried_again(self, typing: Callable[..., None]):
        """The user can do nothing about it at the keyboard."""
        typing()
        with pytest.raises(BrokerError, match="upstream said no"):
            mint(Daemon("AccessDenied"), "train")  # type: ignore[arg-type]  # likewise


class TestAsking:
    def test_without_a_terminal_it_says_so(self, monkeypatch: pytest.MonkeyPatch):
        """A batch job has none; nothing is read from its standard input."""

        def no_terminal(*_: object) -> int:
            raise OSError(6, "No such device or address")

        monkeypatch.setattr(os, "open", no_terminal)
        with pytest.raises(IdentityMissing, match="there is no terminal to ask at") as failure:
            ask_mfa_code("train")

        assert failure.value.code == "MfaRequired"
