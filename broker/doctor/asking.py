"""The broker as a worker reaches it: is its port its own, and does it give a lease to who asks as the clients do?

Nothing is sent to a port that another user holds, nor through a proxy. Of a lease only what is not secret is kept, and
a digest to tell it from another.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from broker.config.shape import Address
from broker.control_client import trusted
from broker.doctor.aws_steps import FULL_URI, TOKEN_FILE
from broker.doctor.azure import ENDPOINT, HEADER
from broker.doctor.chain import authority
from broker.doctor.databricks import HOST, URL
from broker.errors import BrokerError, NoDaemon
from broker.model import Kind
from broker.safefile import read_private
from broker.server.sockets import tcp_listener_owner
from broker.worker_env.oci import TOKEN as RPST

PATIENCE = 5.0
HOSTS = ("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP")  # as Google's clients look for them
_LONGEST = 1 << 20
_TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - the name of a variable
_ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default"


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A lease that was given: whose, how many seconds it lives by this machine's clock, and a digest of it."""

    identity: str | None
    left: float
    digest: str = ""


def owned(plane: str) -> bool:
    """Whether a worker plane, HOST:PORT, is held by nobody but the daemon, root or ourselves."""
    where = urlsplit(f"http://{plane}")
    owner = tcp_listener_owner(Address(where.hostname or "", where.port or 80))
    return owner is None or owner in trusted()


def knock(plane: str) -> None:
    """Raises NoDaemon unless something answers there; nothing is shown to it."""
    _get(f"http://{plane}", "/", {}, frozenset({plane}))


def fetch(cloud: str, environ: Mapping[str, str], planes: frozenset[str]) -> Fetched | None:
    """One real lease by the very variables that the clients read. Raises BrokerError, NoDaemon where none answers.

    None where they say of no lease how long it lives, as Oracle's API keys.
    """
    return _WAYS[cloud](environ, planes)


def digest(text: str) -> str:
    """Tells one token from another without keeping either."""
    return hashlib.sha256(text.encode()).hexdigest()


def lasts(expires_at: str) -> float:
    """Seconds until a time as leases state it."""
    return (datetime.fromisoformat(expires_at) - datetime.now(UTC)).total_seconds()


def _aws(environ: Mapping[str, str], planes: frozenset[str]) -> Fetched:
    url, file = environ.get(FULL_URI, ""), environ.get(TOKEN_FILE)
    token = read_private(Path(file), _LONGEST).decode() if file else environ.get(_TOKEN, "")
    body = _json(_get(url, "", {"Authorization": token}, planes))
    with _understood():
        return Fetched(identity=body.get("AccountId"), left=lasts(body["Expiration"]))


def _google(environ: Mapping[str, str], planes: frozenset[str]) -> Fetched:
    host = next((environ[name] for name in HOSTS if environ.get(name)), "")
    flavor = {"Metadata-Flavor": "Google"}
    body = _json(_get(f"http://{host}", f"{_ACCOUNT}/token", flavor, planes))
    email = _get(f"http://{host}", f"{_ACCOUNT}/email", flavor, planes).decode(errors="replace")
    with _understood():
        return Fetched(identity=email, left=float(body["expires_in"]), digest=digest(body["access_token"]))


def _azure(environ: Mapping[str, str], planes: frozenset[str]) -> Fetched:
    shown = {"X-IDENTITY-HEADER": environ.get(HEADER, "")}
    asked = "?api-version=2019-08-01&resource=https://storage.azure.com"
    body = _json(_get(environ.get(ENDPOINT, ""), asked, shown, planes))
    with _understood():
        return Fetched(identity=None, left=float(body["expires_on"]) - time.time(), digest=digest(body["access_token"]))


def _databricks(environ: Mapping[str, str], planes: frozenset[str]) -> Fetched:
    shown = {"X-Databricks-Metadata-Version": "1", "X-Databricks-Host": environ.get(HOST, "")}
    body = _json(_get(environ.get(URL, ""), "", shown, planes))
    with _understood():
        left = float(body["expires_on"]) - time.time()
        return Fetched(identity=environ.get(HOST), left=left, digest=digest(body["access_token"]))


def _oracle(environ: Mapping[str, str], _: frozenset[str]) -> Fetched | None:
    """The session that lies in the worker's folder, which nobody need be asked for."""
    file = environ.get(RPST, "")
    if not file.startswith("/"):
        return None
    part = read_private(Path(file), _LONGEST).split(b".")[1:2]
    with _understood():
        claims = json.loads(base64.urlsafe_b64decode(part[0] + b"==="))
        return Fetched(identity=None, left=float(claims["exp"]) - time.time())


_WAYS: dict[str, Callable[[Mapping[str, str], frozenset[str]], Fetched | None]] = {
    Kind.AWS: _aws,
    Kind.GOOGLE: _google,
    Kind.AZURE: _azure,
    Kind.DATABRICKS: _databricks,
    Kind.OCI: _oracle,
}


def _get(url: str, path: str, headers: dict[str, str], planes: frozenset[str]) -> bytes:
    """What is there. It is only ever asked of the broker."""
    if authority(url) not in planes:
        raise BrokerError("the variables do not lead to the broker: nothing was sent", code="NotTheBroker")
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port or 80, timeout=PATIENCE)
    with contextlib.closing(connection):
        try:
            connection.request("GET", where.path + path, headers=headers)
            answer = connection.getresponse()
            body = answer.read(_LONGEST)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise NoDaemon(f"the broker at {authority(url)} does not answer: {reason}") from None
    if answer.status != http.client.OK:
        raise BrokerError(f"it was refused with {answer.status}: {_ADVICE.get(answer.status, _OTHER)}", code="Refused")
    return body


_OTHER = "`credbroker status` may say more"
_ADVICE = {
    400: "its variables are damaged: start the worker anew",
    401: "the worker's token is over: start it by `credbroker exec` again, or take a new `credbroker env`",
    403: "no grant covers it: `credbroker whoami` lists what is granted",
    503: "nothing is minted yet: `credbroker status` says why",
}


@contextlib.contextmanager
def _understood() -> Any:
    try:
        yield
    except (IndexError, KeyError, TypeError, ValueError):
        raise BrokerError("the broker answered with no lease", code="Unexpected") from None


def _json(body: bytes) -> dict[str, Any]:
    with _understood():
        found = json.loads(body)
        return dict(found)
