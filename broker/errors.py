"""Every error of credbroker.

BrokerError                 status  exit  transient
├── ConfigError                  -     2  no         every mistake of the configuration, each with its place
├── NoDaemon                     -     3  no         no daemon answers where one was looked for
├── Refused              400..431      1  no         a request that is not answered: malformed, unknown, not granted
├── NotReady                   503     1  yes        nothing is held yet; ask again after `retry_after` seconds
└── MintError                  503     1  yes        a credential could not be minted
    ├── Denied                 403     4  no         upstream's final word: not allowed, deleted, malformed for it
    ├── Throttled              503     1  yes        upstream asks for patience
    ├── Unreachable            503     1  yes        refused, timed out, 5xx, or the minter was lost
    ├── Malformed              503     1  yes        upstream answered, but not with a credential
    └── IdentityMissing        503     1  yes        the daemon's own identity is absent, expired or unreadable

A message tells the reader what to do next. It never contains a secret, a token or a body that upstream sent.
"""

import msgspec


class Mistake(msgspec.Struct, frozen=True):
    """One mistake of a configuration: where it stands and what is wrong there.

    `place` says all of where; `file` and `line` say it to programs, where it stands in a file.
    """

    place: str
    text: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class BrokerError(Exception):
    """Any error of credbroker. `advice` is for people; `code` is a CamelCase word for programs."""

    status = 500
    exit_status = 1
    transient = False

    def __init__(self, advice: str, *, code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(advice)
        self.advice = advice
        self.code = code or type(self).__name__
        self.retry_after = retry_after


class ConfigError(BrokerError):
    """Every mistake found in the configuration, at once."""

    exit_status = 2

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


class NoDaemon(BrokerError):
    """No daemon answers at any of the places where one is looked for."""

    exit_status = 3


class Refused(BrokerError):
    """A request that is not answered; `status` is the HTTP status of the refusal."""

    def __init__(
        self, status: int, code: str, advice: str, *, reason: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(advice, code=code, retry_after=retry_after)
        self.status = status
        self.reason = reason or code  # for the audit line and a metric's label only; never shown to the caller
        self.exit_status = 4 if status in {401, 403} else 1


class NotReady(BrokerError):
    """Nothing is held yet; `retry_after` says in how many seconds it is worth asking again."""

    status = 503
    transient = True


class MintError(BrokerError):
    """A credential could not be minted."""

    status = 503
    transient = True


class Denied(MintError):
    """Upstream's final word: asking again soon cannot help."""

    status = 403
    exit_status = 4
    transient = False


class Throttled(MintError):
    """Upstream asks for patience; `retry_after` is what it said, in seconds, if it said it."""


class Unreachable(MintError):
    """Upstream refused the connection, timed out or answered 5xx, or the minter was lost."""


class Malformed(MintError):
    """Upstream answered with something that is not a usable credential."""


class IdentityMissing(MintError):
    """The daemon's own identity is absent, expired or unreadable; its owner may bring it back at any time."""


def perhaps_mistyped(error: BrokerError) -> BrokerError:
    """A denial of a mint with a code is no final word, nor counted as one: a held lease must outlive a slip."""
    if not isinstance(error, Denied):
        return error
    refused = IdentityMissing(error.advice, code="MfaRefused")
    refused.exit_status = error.exit_status
    return refused


def again_in(seconds: float, error: BrokerError) -> BrokerError:
    """What who asks before the next try is told: a final word as it is, anything else with when to ask again."""
    if not error.transient:
        return error
    return NotReady(error.advice, code=error.code, retry_after=max(seconds, 1.0))


def in_public(error: BrokerError) -> BrokerError:
    """The same for who is no operator: what the daemon's identity and secrets are, and where, is not his to know."""
    if not isinstance(error, IdentityMissing) or error.code == "MfaRequired":  # which says what he can do about it
        return error
    advice = "the identity or a secret that this is minted from is missing; `credbroker status` tells an operator which"
    return IdentityMissing(advice, code=error.code, retry_after=error.retry_after)
