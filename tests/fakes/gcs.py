"""A strict fake Google Cloud Storage: the JSON API, and the XML API for clients that speak that one.

Every request carries a bearer token that the fake Google issued, that lives, and that has a storage scope; it is
refused with 401 or 403 otherwise.

It counts what each token was answered (by `tail`, never the token), so that a test can see a client move to a new one.
"""

import base64
from collections import Counter
from collections.abc import Mapping
from functools import cache
from urllib.parse import quote, unquote

import msgspec

from tests.fakes import gcs_upload, s3_body
from tests.fakes.gcs_upload import Uploaded, Uploads
from tests.fakes.google.registry import NotAccepted, Registry
from tests.fakes.objects import Buckets, Missing, Stored
from tests.fakes.serving import Answer, Call, Served
from tests.fakes.tally import tail, where
from tests.fakes.xml_api import Refused, XmlApi, ranged, refusal

_SCOPES = "https://www.googleapis.com/auth/devstorage."
_WRITE = tuple(_SCOPES + word for word in ("read_write", "full_control"))
_READ = (*_WRITE, _SCOPES + "read_only")
_JSON = ("/storage/v1/", "/download/storage/v1/", "/upload/storage/v1/")
_UNKNOWN = {
    "ifGenerationNotMatch", "ifMetagenerationMatch", "ifMetagenerationNotMatch", "versions", "rewriteToken",
}  # fmt: skip


class FakeGcs:
    """The store. `registry` says which tokens live; `answer` may be used without a server."""

    def __init__(self, registry: Registry, buckets: Buckets) -> None:
        self.answered: Counter[tuple[str, str]] = Counter()  # by token's tail and folder
        self.refused: Counter[str] = Counter()  # by status or code
        self._registry = registry
        self._buckets = buckets
        self._uploads = Uploads()
        self._xml = XmlApi(buckets, "EU", _body)

    def serve(self, port: int = 0) -> Served:
        """The same over HTTP, from now until it is stopped."""
        return Served(self.answer, port)

    def answer(self, call: Call) -> Answer:
        """Whose token it is, and then what is asked for."""
        json = call.path.startswith(_JSON)
        try:
            identity = self._identity(call)
            answer = self._json(call) if json else self._xml.answer(call)
        except (Refused, s3_body.BadBody) as refused:
            self.refused[refused.code] += 1
            return (_refusal if json else refusal)(refused.code, refused.status, call.path)
        self.answered[identity, where(call)] += 1
        return answer

    def _identity(self, call: Call) -> str:
        scheme, _, token = call.fields.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            raise Refused("Anonymous caller", 401)
        try:
            self._registry.check(token, *(_READ if call.method in {"GET", "HEAD"} else _WRITE))
        except NotAccepted as error:
            raise Refused(str(error), error.status) from error
        return tail(token)

    def _json(self, call: Call) -> Answer:
        root = next(root for root in _JSON if call.path.startswith(root))
        parts = [unquote(part) for part in call.path.removeprefix(root).split("/")]
        if _UNKNOWN & set(call.query):
            raise Refused("notImplemented", 501)
        try:
            match call.method, *parts:
                case "GET", "b", bucket if not root.startswith("/upload"):
                    self._buckets.names(bucket)
                    return _answer({"kind": "storage#bucket", "id": bucket, "name": bucket, "location": "EU"})
                case "POST" | "PUT", "b", bucket, "o" if root.startswith("/upload"):
                    return self._upload(call, bucket)
                case "GET", "b", bucket, "o":
                    return self._page(bucket, call.query)
                case "GET", "b", bucket, "o", name:
                    return self._get(call, bucket, name)
                case "DELETE", "b", bucket, "o", name:
                    self._buckets.get(bucket, name)
                    self._buckets.delete(bucket, name)
                    return Answer(204)
        except Missing as missing:
            raise Refused("notFound", 404) from missing
        raise Refused("notImplemented", 501)

    def _get(self, call: Call, bucket: str, name: str) -> Answer:
        stored = self._buckets.get(bucket, name)
        if call.query.get("generation", str(stored.generation)) != str(stored.generation):
            raise Refused("notFound", 404)  # an old one: this store keeps none
        if call.query.get("ifGenerationMatch", str(stored.generation)) != str(stored.generation):
            raise Refused("conditionNotMet", 412)
        if call.query.get("alt") != "media":
            return _answer(_resource(bucket, stored))
        fields = {
            "Content-Type": stored.content_type,
            "ETag": stored.etag,
            "X-Goog-Generation": str(stored.generation),
            "X-Goog-Hash": f"crc32c={_crc32c(stored.body)},md5={stored.md5_hash}",
            "X-Goog-Stored-Content-Length": str(len(stored.body)),
        }
        return ranged(stored.body, call.fields.get("range"), fields)

    def _page(self, bucket: str, query: Mapping[str, str]) -> Answer:
        after, most = unquote(query.get("pageToken", "")), min(int(query.get("maxResults", "1000")), 1000)
        page = self._buckets.page(bucket, query.get("prefix", ""), query.get("delimiter", ""), after, most)
        members: dict[str, object] = {"kind": "storage#objects"}
        if page.objects:
            members["items"] = [_resource(bucket, stored) for stored in page.objects]
        if page.prefixes:
            members["prefixes"] = page.prefixes
        if page.after is not None:
            members["nextPageToken"] = quote(page.after, safe="")
        return _answer(members)

    def _upload(self, call: Call, bucket: str) -> Answer:
        self._buckets.names(bucket)
        match call.method, call.query.get("uploadType"):
            case "POST", "media":
                uploaded = Uploaded(call.query.get("name", ""), call.body, _kind(call), {})
            case "POST", "multipart":
                uploaded = gcs_upload.multipart(call)
            case "POST", "resumable" if "upload_id" not in call.query:
                return Answer(200, fields={"Location": self._uploads.begin(call), "X-GUploader-UploadID": "1"})
            case "PUT" | "POST", "resumable" if "upload_id" in call.query:  # gcsfs posts its chunks
                progress = self._uploads.more(call)
                if isinstance(progress, Answer):
                    return progress
                uploaded = progress
            case _:
                raise Refused("notImplemented", 501)
        return _answer(_resource(bucket, self._keep(bucket, uploaded, call.query.get("ifGenerationMatch"))))

    def _keep(self, bucket: str, uploaded: Uploaded, expected: str | None) -> Stored:
        there = uploaded.name in self._buckets.names(bucket)
        generation = self._buckets.get(bucket, uploaded.name).generation if there else 0
        if expected not in {None, str(generation)}:
            raise Refused("conditionNotMet", 412)
        if not uploaded.name:
            raise Refused("required", 400)
        if uploaded.hashes.get("crc32c", _crc32c(uploaded.body)) != _crc32c(uploaded.body):
            raise Refused("invalid", 400)
        if "md5Hash" in uploaded.hashes:
            s3_body.read({"content-md5": uploaded.hashes["md5Hash"]}, uploaded.body)
        return self._buckets.put(bucket, uploaded.name, uploaded.body, uploaded.content_type)


def _kind(call: Call) -> str:
    return call.fields.get("content-type", "application/octet-stream")


def _resource(bucket: str, stored: Stored) -> dict[str, object]:
    """The object as the JSON API describes it; 64-bit numbers are texts there."""
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{stored.name}/{stored.generation}",
        "name": stored.name,
        "bucket": bucket,
        "generation": str(stored.generation),
        "metageneration": "1",
        "contentType": stored.content_type,
        "storageClass": "STANDARD",
        "size": str(len(stored.body)),
        "md5Hash": stored.md5_hash,
        "crc32c": _crc32c(stored.body),
        "etag": stored.etag.strip('"'),
        "timeCreated": stored.iso,
        "updated": stored.iso,
    }


@cache
def _crc32c(body: bytes) -> str:
    return base64.b64encode(s3_body.crc32c(body)).decode()


def _answer(members: Mapping[str, object], status: int = 200) -> Answer:
    return Answer(status, msgspec.json.encode(members), {"Content-Type": "application/json; charset=UTF-8"})


def _refusal(reason: str, status: int, _path: str) -> Answer:
    """As the JSON API refuses."""
    errors = [{"message": reason, "domain": "global", "reason": reason}]
    answer = _answer({"error": {"code": status, "message": reason, "errors": errors}}, status)
    return Answer(
        status, answer.body, {**answer.fields, "WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'}
    )


def _body(call: Call) -> bytes:
    return s3_body.read(call.fields, call.body)
