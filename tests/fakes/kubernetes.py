"""A strict API server: TLS by an authority of its own, bearer tokens, RBAC, TokenReview and the cluster's public keys.

It refuses as the real one does (401 and 403 with a Status), can go away and come back on the same port, and can be told
to misbehave.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from tests.fakes.authority import Authority
from tests.fakes.cluster import FakeCluster, Running
from tests.fakes.serving import Answer, Call, Served

REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"
DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/openid/v1/jwks"
_NAMES = {("POST", REVIEW): "review", ("GET", DISCOVERY): "discovery", ("GET", JWKS): "jwks"}
_JSON = {"Content-Type": "application/json"}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered instead; with a delay alone, the truth, late."""

    status: int | None = None
    body: bytes = b""
    fields: dict[str, str] = {}
    delay: float = 0.0


class FakeKubernetes:
    """An API server. Use as a context manager; `folder` gets what the broker's own pod would find mounted.

    `may_review` and `may_discover` are the usernames that RBAC allows to; the broker's own is among both.
    """

    def __init__(self, folder: Path, cluster: FakeCluster | None = None) -> None:
        self.cluster = cluster or FakeCluster()
        self.calls: Counter[str] = Counter()
        self.reviewed: list[Sequence[str]] = []  # the audiences that were asked for
        self.broker = self.cluster.run("credbroker", "credbroker", "credbroker-x7k2p")
        self.may_review = {"system:serviceaccount:credbroker:credbroker"}
        self.may_discover = set(self.may_review)
        self.faults: dict[str, Fault] = {}
        self._folder = folder
        authority = Authority("kubernetes")
        self._tls = authority.server(folder)
        self.ca_file, self.token_file = folder / "ca.crt", folder / "token"
        self.ca_file.write_bytes(authority.pem)
        self.token_file.write_text(self.cluster.token(self.broker))
        self.token_file.chmod(0o600)
        self._ending = threading.Event()
        self._served: Served | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it is, and will be again."""
        return f"https://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()

    def come_back(self) -> None:
        """It listens again, where it was before."""
        self._ending.clear()
        self._served = Served(self._answer, self._port, self._tls)
        self._port = self._served.port

    def go_away(self) -> None:
        """Nobody listens any more."""
        self._ending.set()
        if self._served is not None:
            self._served.stop()
            self._served = None

    @contextlib.contextmanager
    def failing(self, name: str, **fault: Any) -> Any:
        """For as long as this lasts, `review`, `discovery` or `jwks` misbehaves."""
        self.faults[name] = Fault(**fault)
        try:
            yield
        finally:
            del self.faults[name]

    def settings(self) -> str:
        """The broker's `[daemon.kubernetes]`."""
        lines = (f'api_server = "{self.url}"', f'token_file = "{self.token_file}"', f'ca_file = "{self.ca_file}"')
        return "[daemon.kubernetes]\n" + "\n".join(lines) + "\n"

    def _answer(self, call: Call) -> Answer:
        name = _NAMES.get((call.method, call.path))
        if name is None:
            return _refused(404, "NotFound", "the server could not find the requested resource")
        self.calls[name] += 1
        fault = self.faults.get(name)
        if fault is not None and fault.delay:
            self._ending.wait(fault.delay)
        if fault is not None and fault.status is not None:
            return Answer(fault.status, fault.body, fault.fields)
        who = self._who(call)
        if who is None:
            return _refused(401, "Unauthorized", "Unauthorized")
        if who not in (self.may_review if name == "review" else self.may_discover):
            return _refused(403, "Forbidden", f'User "{who}" cannot do that')
        return {"review": self._review, "discovery": self._discovery, "jwks": self._jwks}[name](call)

    def _who(self, call: Call) -> str | None:
        """Whom the bearer token of a call authenticates, for the API server itself."""
        scheme, _, token = call.fields.get("authorization", "").partition(" ")
        status = self.cluster.review(token, ()) if scheme == "Bearer" else {}
        return status["user"]["username"] if status.get("authenticated") else None

    def _review(self, call: Call) -> Answer:
        if call.fields.get("content-type") != "application/json":
            return _refused(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        try:
            asked = msgspec.json.decode(call.body, type=dict[str, Any])
        except msgspec.DecodeError:
            return _refused(400, "BadRequest", "the object provided is unrecognized")
        if (asked.get("apiVersion"), asked.get("kind")) != ("authentication.k8s.io/v1", "TokenReview"):
            return _refused(400, "BadRequest", "the object provided is unrecognized")
        spec = asked["spec"]
        if not spec.get("token"):
            return _refused(400, "BadRequest", "token is required for TokenReview in authentication")
        self.reviewed.append(spec.get("audiences", []))
        status = self.cluster.review(spec["token"], spec.get("audiences", []))
        return _json(201, {**asked, "metadata": {"creationTimestamp": None}, "status": status})

    def _discovery(self, _: Call) -> Answer:
        return _json(200, {"issuer": self.cluster.issuer, "jwks_uri": f"{self.cluster.issuer}{JWKS}"})

    def _jwks(self, _: Call) -> Answer:
        return _json(200, self.cluster.jwks())


def _json(status: int, members: dict[str, Any]) -> Answer:
    return Answer(status, msgspec.json.encode(members), _JSON)


def _refused(status: int, reason: str, message: str) -> Answer:
    members = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason}
    return _json(status, {**members, "code": status})


__all__ = ["DISCOVERY", "JWKS", "REVIEW", "FakeCluster", "FakeKubernetes", "Fault", "Running"]
