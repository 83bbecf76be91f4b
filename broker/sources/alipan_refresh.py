"""A refresh token of Alipan, exchanged for a younger one in the file that it is read from. Hands out nothing itself.

Alipan publishes no rules for the tokens of its web page. What is known: each refresh gives another refresh token, the
one before stays good for a while (streaming's downloader refreshes by the same one for every file), and none stays good
for ever. So the file holds the youngest: one process at a time exchanges it, and only where the new one can be written.
The request is alipcs_py's (0.8): `POST /token/refresh`.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from broker import clock
from broker.errors import BrokerError, IdentityMissing, Malformed, MintError, Throttled
from broker.model import Reference
from broker.safefile import write_private
from broker.secret import Secret
from broker.sources import json_api, references
from broker.sources.json_api import Answered

API = "https://api.aliyundrive.com"
RARELY, OFTEN = 43_200.0, 600.0  # seconds between two refreshes, whatever Alipan states
_WHAT = "refresh_token"
_REFUSED = {"InvalidParameter.RefreshToken", "RefreshTokenExpired"}  # by Alipan's own words
_PATIENCE = "ParamFlowException"  # at which alipcs_py pauses for 10 s
_TOKEN = re.compile(r"[!-~]{1,4096}")
_LONGEST = 1024  # bytes of a record
_RECORD = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def refresh(reference: Reference, api_url: str) -> None:
    """See to it that the file holds a young token: exchange it, unless it came from Alipan a short while ago.

    Raises IdentityMissing where Alipan refuses it or the file cannot be replaced, Throttled, Unreachable or Malformed.
    """
    path = reference.file or ""
    references.read(reference, _WHAT)  # whoever may not leaves no record of his, which the right user could not open
    with _alone(path) as record:
        token = references.read(reference, _WHAT)
        if _is_young(record, token):
            return
        _write(path, token)  # what cannot be kept must not be asked for
        answer = _exchanged(token, api_url, path)
        if references.read(reference, _WHAT) != token:
            return  # somebody has put another there meanwhile: his counts, and is exchanged next
        younger = Secret(answer.refresh_token)
        _write(path, younger)
        every = min(max(answer.expires_in / 2, OFTEN), RARELY)
        _note(record, _Record(digest=_digest(younger), since=clock.wall(), every=every))


@contextlib.contextmanager
def _alone(path: str) -> Iterator[int]:
    """The record of the last refresh, beside the file, open and locked: other minters and daemons wait here."""
    try:
        descriptor = os.open(f"{path}.refreshed", _RECORD, 0o600)
    except OSError as error:
        raise _unwritable(f"cannot make {path}.refreshed: {os.strerror(error.errno or 0)}") from None
    try:
        _refuse_prepared(os.fstat(descriptor), path)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_prepared(status: os.stat_result, path: str) -> None:
    """Whoever could put a record there would decide when to refresh, or have another file of ours overwritten."""
    own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1
    if not own or stat.S_IMODE(status.st_mode) & 0o077:
        raise _unwritable(f"{path}.refreshed is not a file of this user alone: remove it")


def _is_young(record: int, token: Secret) -> bool:
    """Whether the token is the one that was written last, and that lately; what a crash left half-written says no."""
    try:
        last = msgspec.json.decode(os.pread(record, _LONGEST, 0), type=_Record)
    except msgspec.DecodeError:
        return False
    return last.digest == _digest(token) and 0 <= clock.wall() - last.since < last.every


def _note(record: int, last: "_Record") -> None:
    """A disk that has no room for it costs another refresh next time, and no mint."""
    with contextlib.suppress(OSError):
        os.ftruncate(record, 0)
        os.pwrite(record, msgspec.json.encode(last), 0)


def _write(path: str, token: Secret) -> None:
    try:
        write_private(path, f"{token.open()}\n".encode(), sync=True)
    except BrokerError as error:
        raise _unwritable(error.advice) from None


def _unwritable(why: str) -> IdentityMissing:
    advice = "`keep_fresh` needs a file of this user, in a folder where he may write"
    return IdentityMissing(f"{_WHAT}: {why}; {advice}", code="ReferenceUnwritable")


def _exchanged(token: Secret, api_url: str, path: str) -> "_Answer":
    url = f"{api_url.rstrip('/')}/token/refresh"
    headers = {"Content-Type": "application/json;charset=UTF-8"}
    answered = json_api.send("POST", url, headers, json_api.encoded({_WHAT: token.open()}))
    try:
        answer = msgspec.json.decode(answered.text.open(), type=_Answer)
    except msgspec.DecodeError:
        raise _malformed(answered) from None
    if answer.code or not answered.good:
        raise _refusal(answer.code, answered, path)
    if not _TOKEN.fullmatch(answer.refresh_token):
        raise _malformed(answered)
    return answer


def _refusal(code: str | None, answered: Answered, path: str) -> MintError:
    """By Alipan's word, whatever the status: alipcs_py goes by nothing else."""
    if code in _REFUSED:
        advice = f"Alipan refuses what {path} holds: log in there again and write the new refresh token into that file"
        return IdentityMissing(f"{_WHAT}: {advice}", code="RefreshTokenRefused")
    if code == _PATIENCE:
        return Throttled("Alipan asks for patience", code=_PATIENCE)
    return _malformed(answered)


def _malformed(answered: Answered) -> Malformed:
    advice = f"Alipan answers with something that is no refresh token (HTTP {answered.status}): correct `api_url`"
    return Malformed(f"{advice}, or leave `keep_fresh` out until it does", code="UnusableAnswer")


def _digest(token: Secret) -> str:
    return hashlib.sha256(token.open().encode()).hexdigest()


class _Answer(msgspec.Struct):
    refresh_token: str = ""
    expires_in: Annotated[float, Meta(ge=0)] = 7200.0  # of the access token: for the other Alipan states nothing
    code: str | None = None


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which token was written last, by its SHA-256, when, and for how long it is young."""

    digest: str
    since: float
    every: float
