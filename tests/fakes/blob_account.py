"""A strict fake storage account with a hierarchical namespace: user-delegation keys, and what a SAS may list.

Facts: https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key and .../create-user-delegation-sas.
The string to sign is built here again, from that page, so that the SDK is not its own witness.
"""

import base64
import hashlib
import hmac
import re
import ssl
import time
from datetime import UTC, datetime

from tests.fakes.entra import FakeEntra
from tests.fakes.google import jwt
from tests.fakes.serving import Answer, Call, Served

ACCOUNT = "mydata"
WEEK = 7 * 24 * 3600
# Fields of the string to sign, in order, of a service version from 2025-07-05 on; "path" is no parameter.
_SIGNED = (
    *("sp", "st", "se", "path", "skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid", "skdutid"),
    *("sduoid", "sip", "spr", "sv", "sr", "snapshot", "ses", "rscc", "rscd", "rsce", "rscl", "rsct"),
)


class FakeAccount(Served):
    """One account, which trusts an Entra ID. `delegators` are the clients that may have keys."""

    def __init__(self, entra: FakeEntra, tls: ssl.SSLContext) -> None:
        self.delegators: set[str] = set()
        self.blobs: dict[str, list[str]] = {"data": []}
        self.ahead = 0.0
        self.fault: Answer | None = None
        self._entra = entra
        self._keys: dict[str, bytes] = {}
        super().__init__(self._answer, tls=tls)

    def _answer(self, call: Call) -> Answer:
        if self.fault is not None:
            return self.fault
        if not re.fullmatch(r"20\d\d-\d\d-\d\d", call.fields.get("x-ms-version", "")):
            return self._refused(400, "MissingRequiredHeader")
        if call.query.get("comp") == "userdelegationkey":
            return self._key(call)
        return self._list(call)

    def _key(self, call: Call) -> Answer:
        scheme, _, token = call.fields.get("authorization", "").partition(" ")
        try:
            claims = self._entra.check(token if scheme == "Bearer" else "")
        except jwt.BadJwt:
            return self._refused(401, "InvalidAuthenticationInfo")
        if claims["appid"] not in self.delegators:
            return self._refused(403, "AuthorizationPermissionMismatch")
        start, ends = (_between(call.body.decode(), name) for name in ("Start", "Expiry"))
        if not (_seconds(start) <= self._now() < _seconds(ends) and _seconds(ends) - _seconds(start) <= WEEK):
            return self._refused(400, "InvalidXmlNodeValue")
        value = hashlib.sha256(f"{claims['oid']}{start}{ends}".encode()).digest()
        self._keys[f"{claims['oid']} {start} {ends}"] = value
        fields = {
            "SignedOid": claims["oid"],
            "SignedTid": claims["tid"],
            "SignedStart": start,
            "SignedExpiry": ends,
            "SignedService": "b",
            "SignedVersion": call.fields["x-ms-version"],
            "Value": base64.b64encode(value).decode(),
        }
        return self._xml(200, "UserDelegationKey", "".join(f"<{name}>{text}</{name}>" for name, text in fields.items()))

    def _list(self, call: Call) -> Answer:
        container, query = call.path.removeprefix("/"), call.query
        if call.method != "GET" or (query.get("restype"), query.get("comp")) != ("container", "list"):
            return self._refused(400, "InvalidQueryParameterValue")
        path, prefix = f"/blob/{ACCOUNT}/{container}", query.get("prefix", "")
        if query.get("sr") == "d":
            depth = int(query.get("sdd", "0"))
            folder = "/".join(prefix.split("/")[:depth])
            path = f"{path}/{folder}"
        if not self._holds(query, path) or "l" not in query.get("sp", ""):
            return self._refused(403, "AuthenticationFailed")
        if container not in self.blobs:
            return self._refused(404, "ContainerNotFound")
        names = [name for name in self.blobs[container] if name.startswith(prefix)]
        blobs = "".join(f"<Blob><Name>{name}</Name></Blob>" for name in names)
        return self._xml(200, "EnumerationResults", f"<Prefix/><Blobs>{blobs}</Blobs><NextMarker/>")

    def _holds(self, query: dict[str, str], path: str) -> bool:
        """Whether the signature is one of ours, for that path, and lives."""
        key = self._keys.get(f"{query.get('skoid')} {query.get('skt')} {query.get('ske')}")
        signed = "\n".join(path if name == "path" else query.get(name, "") for name in _SIGNED)
        made = base64.b64encode(hmac.digest(key or b"", signed.encode(), "sha256")).decode()
        lives = self._now() < min(_seconds(query.get("se", "")), _seconds(query.get("ske", "")))
        return key is not None and lives and query.get("spr") == "https" and made == query.get("sig")

    def _now(self) -> float:
        return time.time() + self.ahead

    def _refused(self, status: int, code: str) -> Answer:
        return self._xml(status, "Error", f"<Code>{code}</Code><Message>Words of Azure's.</Message>")

    def _xml(self, status: int, root: str, content: str) -> Answer:
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(self._now()))
        text = f'<?xml version="1.0" encoding="utf-8"?><{root}>{content}</{root}>'
        return Answer(status, text.encode(), {"Content-Type": "application/xml", "Date": date})


def _between(text: str, name: str) -> str:
    found = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return found[1] if found else ""


def _seconds(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
