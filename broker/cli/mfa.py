"""Minting that may need the codes of a user's MFA device: asked for at the terminal, again where one is refused."""

import getpass
import os

from broker import control_api as api
from broker.cli.words import say
from broker.control_client import Client
from broker.errors import BrokerError, IdentityMissing

NEEDS_CODE, CODE_REFUSED = "MfaRequired", "MfaRefused"
CHANCES = 3  # to type a code, as `sudo` gives for a password


def mint(client: Client, name: str, callers: tuple[str, ...] = ()) -> list[api.LeaseRow]:
    """Mint anew, now, asking for the MFA codes that are needed; one that is refused may be typed again."""
    code = None
    for chance in range(CHANCES + 1):
        try:
            return client.refresh(name, api.RefreshOrder(mfa_code=code, callers=callers))
        except BrokerError as error:
            if error.code not in {NEEDS_CODE, CODE_REFUSED} or chance == CHANCES:
                raise
            if code is not None:
                say(f"{name}: {'one more code is needed' if error.code == NEEDS_CODE else error.advice}")
        code = ask_mfa_code(name)
    raise AssertionError


def ask_mfa_code(name: str) -> str:
    """The code from the user's device, asked for at his terminal. Raises BrokerError where he has none."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        advice = (
            f"{name} needs an MFA code, and there is no terminal to ask at: run this in one, or before it "
            f"`credbroker refresh {name}`, if a daemon is running"
        )
        raise IdentityMissing(advice, code=NEEDS_CODE) from None
    return getpass.getpass(f"MFA code for {name}: ").strip()
