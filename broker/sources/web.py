"""The wire to stores that speak OAuth over HTTP: one attempt, a bounded answer, no redirect, transport errors as ours.

An Ear listens on a session of requests, an SDK's or our own, and judges no status: what an answer means is its family's
matter.
"""

import contextlib
import ipaddress
import urllib.parse
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from broker import clock
from broker.errors import Malformed, MintError, Throttled, Unreachable
from broker.secret import Secret
from broker.sources.http_fields import Arrival, http_date, patience

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

TIMEOUT = 10.0  # seconds, to connect and between any two pieces of an answer; the minter's deadline bounds the whole
LONGEST_ANSWER = 1 << 17  # bytes; Entra's tokens have a few thousand, with many groups some ten thousand


class Heard(Arrival, frozen=True, kw_only=True):
    """One answer: whose, its status and text, when by our clock and when by its own, and what Retry-After asks."""

    host: str
    status: int
    text: Secret
    retry_after: float | None = None

    def transient(self) -> MintError | None:
        """The error for a status that asks to try again, else None."""
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            return Throttled(f"{self.host} asks for patience", code="Http429", retry_after=self.retry_after)
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status == HTTPStatus.REQUEST_TIMEOUT:
            advice = f"{self.host} fails (HTTP {self.status})"
            return Unreachable(advice, code=f"Http{self.status}", retry_after=self.retry_after)
        return None


class Ear:
    """Keeps what a session hears."""

    def __init__(self) -> None:
        self.heard: tuple[Heard, ...] = ()

    def on(self, session: "Session") -> None:
        """Begin to listen."""
        session.hooks["response"].append(self._hear)
        session.auth = as_it_is  # else a line in ~/.netrc would replace what was written

    def _hear(self, response: "Response", **_: object) -> None:
        host = urllib.parse.urlsplit(response.url).hostname or "upstream"
        text, arrived = bounded(response, host), clock.wall()
        fields = {name.lower(): value for name, value in response.headers.items()}
        heard = Heard(
            host=host,
            status=response.status_code,
            text=Secret(text),
            arrived=arrived,
            date=http_date(fields.get("date", "")),
            retry_after=patience(fields, arrived),
        )
        self.heard = (*self.heard, heard)
        if HTTPStatus.MULTIPLE_CHOICES <= response.status_code < HTTPStatus.BAD_REQUEST:
            raise Malformed(f"{host} redirects elsewhere, which is not followed", code="Redirected")


@contextlib.contextmanager
def listening() -> Iterator[tuple["Session", Ear]]:
    """A session of our own and its Ear."""
    import requests

    with requests.Session() as session:
        ear = Ear()
        ear.on(session)
        yield session, ear


def unreachable(host: str, error: BaseException) -> MintError:
    """What requests raised, as an error of ours that names the host."""
    from requests.exceptions import ProxyError, SSLError

    if isinstance(error, ProxyError):
        return Unreachable(f"{host}: the proxy does not answer: check HTTPS_PROXY", code="ProxyUnreachable")
    if isinstance(error, SSLError):
        advice = "TLS failed: check REQUESTS_CA_BUNDLE and this machine's clock"
        return Unreachable(f"{host}: {advice}", code="TlsFailed")
    return Unreachable(f"{host} does not answer: check the network", code="ConnectionFailed")


def is_safe(url: str) -> bool:
    """Whether secrets may be sent there: https, or http to this machine."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
    except ValueError:  # such as http://[
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def as_it_is(request: "PreparedRequest") -> "PreparedRequest":
    """A session's `auth` that adds nothing: without one, requests looks into ~/.netrc."""
    return request


def bounded(response: "Response", host: str, most: int = LONGEST_ANSWER) -> str:
    """The body, which requests would otherwise read whatever its size."""
    body = b""
    for piece in response.iter_content(1 << 13):
        body += piece
        if len(body) > most:
            response.close()
            raise Malformed(f"{host} answers at great length", code="UnusableAnswer")
    response._content = body  # noqa: SLF001 - where requests itself keeps what it has read
    return body.decode("utf-8", "replace")
