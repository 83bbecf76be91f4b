"""A pod's token reviewed by its cluster's API server: TokenReview, and the public keys for when that is away.

Runs in a minter alone. One attempt, no redirect, no proxy, a bounded answer, TLS by the cluster's own CA; nothing that
the API server wrote goes into a message. requests is imported inside functions only.
"""

import contextlib
import os
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import msgspec

from broker import clock, jwt
from broker.config.shape import Cluster
from broker.errors import BrokerError, IdentityMissing, Malformed, Throttled, Unreachable
from broker.minter import keys
from broker.model import Keys, Pod, Review, Reviewed
from broker.safefile import read_private
from broker.secret import Secret

if TYPE_CHECKING:
    from requests import Response

TIMEOUT = 3.0  # seconds to connect, and between any two pieces of an answer; the minter's deadline bounds the whole
LONGEST_ANSWER = 1 << 18  # bytes
LONGEST_TOKEN = 1 << 14
LONGEST_WAIT = 300.0
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/openid/v1/jwks"

_EXTRA = "authentication.kubernetes.io/"  # of pod-name, pod-uid and, since Kubernetes 1.30, node-name
_USERNAME = re.compile(rf"{keys.SUBJECT}([a-z0-9-]{{1,63}}):([a-z0-9.-]{{1,253}})")
_BEARER = re.compile(r"[!-~]+")
_T = TypeVar("_T")


class _User(msgspec.Struct):
    username: str = ""
    extra: dict[str, list[str]] = {}


class _Status(msgspec.Struct):
    authenticated: bool = False
    audiences: list[str] = []
    user: _User = msgspec.field(default_factory=_User)


class _TokenReview(msgspec.Struct):
    kind: Literal["TokenReview"]
    status: _Status


class _Discovery(msgspec.Struct):
    issuer: str


def answer(review: Review, cluster: Cluster, audiences: tuple[str, ...], environ: Mapping[str, str]) -> Reviewed:
    """What the API server says; with keys given, what they say. Of what cannot be a token, nobody is asked.

    Raises Unreachable or Throttled while the API server is away, IdentityMissing where it does not let us ask, and
    Malformed.
    """
    if review.token is None:
        with _Api(cluster, environ) as api:
            return Reviewed(keys=api.keys())
    if not jwt.has_form(review.token.open()):
        return Reviewed(reason="jwt-malformed")
    if review.keys is not None:
        return keys.judge(review.token.open(), review.keys, audiences, clock.wall())
    with _Api(cluster, environ) as api:
        return _reviewed(api.review(review.token, audiences), audiences)


def _reviewed(status: _Status, audiences: tuple[str, ...]) -> Reviewed:
    """A pod only where the review says so for one of our audiences: a server that knows none would take any token."""
    if not status.authenticated:
        return Reviewed(reason="review-refused")
    meant_for = tuple(audience for audience in status.audiences if audience in audiences)
    if not meant_for:
        return Reviewed(reason="review-audience")
    who = _USERNAME.fullmatch(status.user.username)
    if who is None:
        return Reviewed(reason="review-no-service-account")
    name, uid, node = (_only(status.user.extra.get(_EXTRA + key)) for key in ("pod-name", "pod-uid", "node-name"))
    return Reviewed(
        pod=Pod(namespace=who[1], service_account=who[2], name=name, uid=uid, node=node, audiences=meant_for)
    )


def _only(values: list[str] | None) -> str | None:
    return values[0] if values is not None and len(values) == 1 else None


class _Api:
    """A session with the API server, for as long as one question takes."""

    def __init__(self, cluster: Cluster, environ: Mapping[str, str]) -> None:
        import requests

        self._url = cluster.api_server or _in_cluster(environ)
        self._host = urllib.parse.urlsplit(self._url).hostname or "the API server"
        if not os.access(cluster.ca_file, os.R_OK):
            raise IdentityMissing(f"{cluster.ca_file} cannot be read: it holds the API server's CA", code="CaMissing")
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no ~/.netrc, no other CA
        self._session.verify = cluster.ca_file
        self._session.headers = {
            "Authorization": f"Bearer {_own_token(cluster.token_file)}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "credbroker",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def review(self, token: Secret, audiences: tuple[str, ...]) -> _Status:
        """What the API server says of a token that is shown to us."""
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token.open(), "audiences": audiences},
        }
        return self._decoded(self._ask("POST", REVIEWS, msgspec.json.encode(asked)), _TokenReview).status

    def keys(self) -> Keys:
        """The cluster's public keys, and whose they are."""
        issuer = self._decoded(self._ask("GET", DISCOVERY), _Discovery).issuer
        jwks = self._ask("GET", JWKS)
        keys.read_set(jwks)
        return Keys(issuer, jwks)

    def _decoded(self, body: bytes, type_: type[_T]) -> _T:
        try:
            return msgspec.json.decode(body, type=type_)
        except (ValueError, msgspec.MsgspecError, RecursionError):
            raise Malformed(f"{self._host} answers, but not as an API server does", code="UnusableAnswer") from None

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        fields = {"Content-Type": "application/json"} if body is not None else {}
        options: Any = {"timeout": TIMEOUT, "allow_redirects": False, "stream": True, "headers": fields}
        with self._reaching(), self._session.request(method, self._url + path, data=body, **options) as response:
            self._check(response)
            return self._bounded(response)

    def _check(self, response: "Response") -> None:
        """Raises for any answer that is not the thing asked for."""
        status = response.status_code
        match status:
            case 200 | 201:
                return
            case 401:
                advice = "does not know credbroker's own token: check [daemon.kubernetes] token_file"
                raise IdentityMissing(f"{self._host} {advice}", code="ReviewerUnknown")
            case 403:
                advice = "does not let credbroker review tokens or read its keys: see deploy/kubernetes/rbac.yaml"
                raise IdentityMissing(f"{self._host} {advice}", code="ReviewForbidden")
            case 429:
                advice = "asks for patience"
                raise Throttled(f"{self._host} {advice}", code="Http429", retry_after=_patience(response))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unreachable(f"{self._host} answers {status}", code=f"Http{status}")
        raise Malformed(f"{self._host} answers {status}, which no API server should", code=f"Http{status}")

    def _bounded(self, response: "Response") -> bytes:
        body = b""
        for piece in response.iter_content(1 << 13):
            body += piece
            if len(body) > LONGEST_ANSWER:
                raise Malformed(f"{self._host} answers at great length", code="UnusableAnswer")
        return body

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        from requests.exceptions import RequestException, SSLError

        try:
            yield
        except BrokerError:
            raise
        except SSLError:
            advice = "TLS failed: check [daemon.kubernetes] ca_file and this machine's clock"
            raise Unreachable(f"{self._host}: {advice}", code="TlsFailed") from None
        except (RequestException, OSError):
            raise Unreachable(f"{self._host} does not answer", code="ConnectionFailed") from None


def _in_cluster(environ: Mapping[str, str]) -> str:
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        advice = "this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set): name [daemon.kubernetes] api_server"
        raise IdentityMissing(advice, code="NoCluster")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _own_token(path: str) -> str:
    """Read anew each time: it is replaced before it expires."""
    try:
        token = read_private(path, LONGEST_TOKEN).decode("ascii", "replace").strip()
    except BrokerError as error:
        raise IdentityMissing(error.advice, code="ReviewerUnknown") from None
    if not _BEARER.fullmatch(token):
        raise IdentityMissing(f"{path} holds no token", code="ReviewerUnknown")
    return token


def _patience(response: "Response") -> float | None:
    said = response.headers.get("Retry-After", "")
    return min(float(said), LONGEST_WAIT) if re.fullmatch(r"[0-9]{1,6}", said) else None
