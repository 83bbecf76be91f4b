"""The wire to Google: one attempt, a bounded answer, no redirect followed, every transport error as one of ours.

A Line is the transport that google-auth is given; an Ear listens on any session of requests, that of google-cloud-iam's
client too. It knows nothing of credentials.
"""

import contextlib
import ipaddress
import urllib.parse
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from broker import clock
from broker.errors import Denied, Malformed, Unreachable
from broker.secret import Secret
from broker.sources.google_errors import Refusal, transient, word_in
from broker.sources.http_fields import Arrival, http_date, patience
from broker.sources.web import as_it_is, bounded

if TYPE_CHECKING:
    from requests import Response, Session

TIMEOUT = 10.0  # seconds, to connect and between any two pieces of an answer; the minter's deadline bounds the whole
LONGEST_ANSWER = 1 << 16  # bytes; a token has 2,000 at most, Google says
METADATA_HOST = "metadata.google.internal"


class Heard(Arrival, frozen=True, kw_only=True):
    """A good answer: to which method, its text, when by our clock, and when by its own if it said so."""

    method: str
    text: Secret


class Ear:
    """Listens on a session: reads each answer within bounds, keeps the good ones and raises for the others.

    Raising from here, and not from the SDKs, is what makes every call a single attempt: they retry what they see.
    """

    def __init__(self) -> None:
        self.heard: tuple[Heard, ...] = ()

    def on(self, session: "Session") -> None:
        """Begin to listen."""
        session.hooks["response"].append(self._hear)
        session.auth = as_it_is  # else a line in ~/.netrc would replace the Authorization that google-auth wrote

    def _hear(self, response: "Response", **_: object) -> None:
        host = urllib.parse.urlsplit(response.url).hostname or "upstream"
        text = bounded(response, host, LONGEST_ANSWER)
        arrived, date = clock.wall(), http_date(response.headers.get("date", ""))
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            word = word_in(text)
            fields = {name.lower(): value for name, value in response.headers.items()}
            error = transient(host, response.status_code, word, patience(fields, arrived))
            method = response.request.method
            raise error or Refusal(
                response.status_code, word, None if date is None else arrived - date, exchange=method == "POST"
            )
        if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            raise Malformed(f"{host} redirects elsewhere, which is not followed", code="Redirected")
        method = response.request.method or ""
        self.heard = (*self.heard, Heard(method=method, text=Secret(text), arrived=arrived, date=date))


class Line:
    """The transport that google-auth is given, in place of its own. Use as a context manager."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        import requests
        from google.auth.transport.requests import Request

        self._timeout = timeout
        self._ear = Ear()
        self.session = requests.Session()  # google-auth looks for this very name
        self._ear.on(self.session)
        self._request = Request(self.session)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    @property
    def heard(self) -> tuple[Heard, ...]:
        """The good answers so far."""
        return self._ear.heard

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
        **more: Any,
    ) -> Any:
        """One request, as google-auth asks for it. Raises Denied, Malformed, Throttled, Unreachable or Refusal."""
        near = is_near(check_url(url))
        if near:
            more["proxies"] = dict.fromkeys(("http", "https", "all"))  # a proxy cannot know this host
        with reaching(url):
            patience_left = min(timeout or self._timeout, self._timeout)
            return self._request(url, method, body, headers, timeout=patience_left, **more)


@contextlib.contextmanager
def reaching(url: str) -> Iterator[None]:
    """Everything that the network, TLS and proxies can do becomes Unreachable, naming the host."""
    from google.auth.exceptions import TransportError
    from requests import RequestException
    from requests.exceptions import ProxyError, SSLError

    host = urllib.parse.urlsplit(url).hostname
    try:
        yield
    except (TransportError, RequestException) as error:
        cause = error.args[0] if isinstance(error, TransportError) and error.args else error
        if isinstance(cause, ProxyError):
            raise Unreachable(
                f"{host}: the proxy does not answer: check HTTPS_PROXY", code="ProxyUnreachable"
            ) from None
        if isinstance(cause, SSLError):
            advice = "TLS failed: check REQUESTS_CA_BUNDLE and this machine's clock"
            raise Unreachable(f"{host}: {advice}", code="TlsFailed") from None
        raise Unreachable(f"{host} does not answer: check the network", code="ConnectionFailed") from None
    except OSError:  # requests says a missing CA bundle with a bare one
        raise Unreachable(f"{host}: the CA bundle that REQUESTS_CA_BUNDLE names is missing", code="TlsFailed") from None


def check_url(url: str) -> str:
    """The host of a URL that may be asked: https, or plain http to loopback or a metadata server. Else Denied."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
    except ValueError:  # such as http://[
        raise Denied("a URL of the identity or its endpoint_url cannot be read", code="UrlRefused") from None
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and is_near(host))):
        raise Denied(
            "a URL of the identity or its endpoint_url is neither https nor on this machine", code="UrlRefused"
        )
    return host


def is_near(host: str) -> bool:
    """Whether a host is this machine or its metadata server: reached without TLS and never through a proxy."""
    if host in {"localhost", METADATA_HOST}:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_link_local or host == "fd00:ec2::254"
