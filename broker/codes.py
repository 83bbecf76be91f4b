"""Mints that need a person's MFA code: which of a chain takes it."""

from broker.keeper import Keeper
from broker.rounds import Flight, Rounds
from broker.secret import Secret


def start_with_code(rounds: Rounds, keeper: Keeper, mfa_code: Secret) -> Flight:
    """The flight of a keeper, with those that it chains from where they are not held: one of them needs the code.

    It goes to the first mint of the chain that is configured to need one, else to the very first, whose identity may be
    a profile that does.
    """
    chain = _to_be_minted(rounds, keeper)
    taker = next((link for link in chain if link.rendered.wants_code), chain[0])
    return [rounds.start(link, mfa_code if link is taker else None) for link in chain][-1]


def needs_code(rounds: Rounds, keeper: Keeper) -> bool:
    """Whether a mint now is configured to need an MFA code; only upstream knows whether a profile does."""
    return any(link.rendered.wants_code for link in _to_be_minted(rounds, keeper))


def _to_be_minted(rounds: Rounds, keeper: Keeper) -> list[Keeper]:
    """The keeper, and before it those that it chains from as far as they are not held."""
    chain = [keeper]
    while (base := chain[0].rendered.base) and rounds.held(keeper := rounds.keeper(base)) is None:
        chain.insert(0, keeper)
    return chain
