"""A strict fake Alipan: its account, its files, and the links that contents travel by.

Alipan publishes no rules for its web API. What is asked for here is what alipcs_py sends and what it does on refusal: a
bearer token of ours that lives, of the device that is named; a session signed by the device's key where names and
contents are looked up; links that are signed, for one method, for a while, and with Alipan's own Referer.
"""

import hashlib
import hmac
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.fakes.serving import Answer, Call, Served
from tests.fakes.xml_api import ranged

APP = "5dde4e1bdf9e4966b387ba58f4b3fdc3"  # of Alipan's own web page, as which alipcs_py comes
HOSTS = [".aliyundrive.com", ".aliyundrive.net"]
SHA1 = hashes.SHA1()  # noqa: S303 - what alipcs_py's ECDSA signs by
_LINKS = "https://cn-beijing-data.aliyundrive.net"
_LINK_LIVES = 900
_DRIVE, _DEVICE, _USER = "1", "device-1", "user-1"


class FakeAlipan:
    """One account. `files` are its contents by path; `refresh_tokens` those that are good.

    With `once` a refresh token ends by its use. `steps` hears of each refresh before and after it is done.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, lifetime: int = 7200, *, once: bool = False) -> None:
        self.files: dict[str, bytes] = {}
        self.refresh_tokens: set[str] = set()
        self.once = once
        self.steps: Callable[[str], object] = lambda _: None
        self.calls: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._lifetime = lifetime
        self._tokens: dict[str, float] = {}
        self._uploads: dict[str, tuple[str, int, bytes]] = {}
        self._sessions: set[str] = set()
        self._key = secrets.token_bytes(32)
        self._served = Served(self._answer, tls=tls)
        self.url = self._served.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._served.stop()

    def _answer(self, call: Call) -> Answer:
        try:
            if call.path.startswith("/link/"):
                return self._content(call)
            return _json(200, self._api(call))
        except _NoError as no:
            self.refused[no.code] += 1
            return _json(no.status, {"code": no.code, "message": no.code})

    def _api(self, call: Call) -> dict[str, object]:
        self.calls[call.path] += 1
        asked = msgspec.json.decode(call.body, type=dict[str, Any]) if call.method == "POST" else {}
        if call.path == "/token/refresh":
            self.steps("before")
            refreshed = self._refreshed(call, asked)
            self.steps("after")
            return refreshed
        scheme, _, token = call.fields.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self._tokens.get(token, 0) <= time.time():
            raise _NoError("AccessTokenInvalid", 401)
        if call.fields.get("x-device-id") != _DEVICE:
            raise _NoError("UserDeviceIllegality", 400)
        match call.path:
            case "/users/v1/users/device/create_session":
                return self._session(call.fields.get("x-signature", ""), asked["pubKey"])
            case "/v2/file/get_by_path" | "/v2/file/get":
                self._signed(call)
                path = asked["file_path"] if "file_path" in asked else bytes.fromhex(asked["file_id"]).decode()
                return self._described(path)
            case "/adrive/v2/file/createWithFolders":
                return self._begun(asked)
            case "/v2/file/complete":
                return self._completed(asked["upload_id"])
        raise _NoError("NotImplemented", 501)

    def _refreshed(self, call: Call, asked: dict[str, Any]) -> dict[str, object]:
        """New tokens. Without `once` the old refresh token stays good; how long Alipan lets it is not known."""
        token = asked.get("refresh_token")
        if call.method != "POST" or not call.fields.get("content-type", "").startswith("application/json"):
            raise _NoError("BadRequest", 400)
        if asked.get("grant_type", "refresh_token") != "refresh_token" or set(asked) - {"refresh_token", "grant_type"}:
            raise _NoError("InvalidParameter.GrantType", 400)
        if "refresh_token" not in asked:
            raise _NoError("InvalidParameterMissing.RefreshToken", 400)
        if token not in self.refresh_tokens:
            raise _NoError("InvalidParameter.RefreshToken", 400)
        if self.once:
            self.refresh_tokens.discard(token)
        access, refresh = secrets.token_hex(32), secrets.token_hex(16)
        ends = time.time() + self._lifetime
        self._tokens[access] = ends
        self.refresh_tokens.add(refresh)
        names = dict.fromkeys(("user_name", "nick_name", "role", "status"), "user")
        whose = {"user_id": _USER, "device_id": _DEVICE, "default_drive_id": _DRIVE}
        lives = {"expires_in": self._lifetime, "expire_time": _iso(ends)}
        return {"access_token": access, "refresh_token": refresh, "token_type": "Bearer", **lives, **names, **whose}

    def _session(self, signature: str, public_key: str) -> dict[str, object]:
        """The device's key signs who it is; the last byte of the signature, in hexadecimal, is a recovery id."""
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), bytes.fromhex(f"04{public_key}"))
            r, s = int(signature[:64], 16), int(signature[64:128], 16)
            message = f"{APP}:{_DEVICE}:{_USER}:0".encode()
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA1))
        except (ValueError, InvalidSignature) as error:
            raise _NoError("DeviceSessionSignatureInvalid", 400) from error
        self._sessions.add(signature)
        return {"result": True, "success": True, "code": None, "message": None}

    def _signed(self, call: Call) -> None:
        if call.fields.get("x-signature") not in self._sessions:
            raise _NoError("DeviceSessionSignatureInvalid", 400)

    def _described(self, path: str) -> dict[str, object]:
        parts = PurePosixPath(path)
        described: dict[str, object] = {"file_id": path.encode().hex(), "name": parts.name, "drive_id": _DRIVE}
        if path in self.files:
            body = self.files[path]
            digest = hashlib.sha1(body, usedforsecurity=False).hexdigest().upper()
            kind = {"type": "file", "size": len(body), "content_hash": digest, "content_hash_name": "sha1"}
            return described | kind | {"url": self._link("GET", path)}
        if any(parts in PurePosixPath(file).parents for file in self.files):
            return described | {"type": "folder"}
        raise _NoError("NotFound.File", 404)

    def _begun(self, asked: dict[str, Any]) -> dict[str, object]:
        folder = bytes.fromhex(asked["parent_file_id"]).decode()
        if asked["type"] != "file" or asked["check_name_mode"] != "overwrite" or asked["content_hash"]:
            raise _NoError("NotImplemented", 501)
        path, upload = f"{folder}/{asked['name']}", secrets.token_hex(8)
        self._uploads[upload] = (path, asked["size"], b"")
        parts = [{"part_number": part["part_number"]} for part in asked["part_info_list"]]
        for part in parts:
            part["upload_url"] = self._link("PUT", f"{upload}/{part['part_number']}")
        named = {"file_id": path.encode().hex(), "upload_id": upload, "file_name": asked["name"]}
        return {**named, "part_info_list": parts, "rapid_upload": False, "type": "file"}

    def _completed(self, upload: str) -> dict[str, object]:
        path, size, body = self._uploads.pop(upload)
        if len(body) != size:
            raise _NoError("PartNotSequential", 400)
        self.files[path] = body
        return self._described(path)

    def _link(self, method: str, what: str) -> str:
        ends = int(time.time()) + _LINK_LIVES
        path = f"/link/{what.encode().hex()}"
        return f"{_LINKS}{path}?x-oss-expires={ends}&x-oss-signature={self._mark(method, path, str(ends))}"

    def _mark(self, method: str, path: str, ends: str) -> str:
        return hmac.digest(self._key, f"{method} {path} {ends}".encode(), "sha256").hex()

    def _content(self, call: Call) -> Answer:
        ends = call.query.get("x-oss-expires", "")
        right = self._mark(call.method, call.path, ends)
        if not hmac.compare_digest(right, call.query.get("x-oss-signature", "")) or int(ends) <= time.time():
            raise _NoError("AccessDenied", 403)
        if call.fields.get("referer") != "https://www.aliyundrive.com/":
            raise _NoError("AccessDenied", 403)
        what = bytes.fromhex(call.path.removeprefix("/link/")).decode()
        if call.method == "GET":
            return ranged(self.files[what], call.fields.get("range"), {"Content-Type": "application/octet-stream"})
        upload, _, _ = what.partition("/")
        path, size, body = self._uploads[upload]
        self._uploads[upload] = (path, size, body + call.body)
        return Answer(200)


class _NoError(Exception):
    """Refused, by Alipan's word for it."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(status: int, members: dict[str, object]) -> Answer:
    return Answer(status, msgspec.json.encode(members), {"Content-Type": "application/json"})
