"""The XML API of object stores, as S3 speaks it and Google too.

Path style, and the calls that clients make to read, write and list objects. What is not here is refused as not
implemented, never ignored.

Whoever calls it has proved already who he is: no credentials in here.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET

from tests.fakes.objects import Buckets, Missing, Stored
from tests.fakes.serving import Answer, Call

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_ASKED_FOR_A_PAGE = {
    "list-type", "prefix", "delimiter", "max-keys", "start-after", "continuation-token", "encoding-type", "fetch-owner",
}  # fmt: skip
_PART = {"uploadId", "partNumber"}
_CONDITIONS = {"if-match", "if-none-match"}
_UNKNOWN_CONDITIONS = {"if-modified-since", "if-unmodified-since", "x-amz-copy-source", "x-goog-copy-source"}


class Refused(Exception):
    """The call is refused; as XML by `refusal`."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


def refusal(code: str, status: int, path: str) -> Answer:
    """The body that S3's clients look for the code in."""
    return _xml(_element("Error", Code=code, Message=code, Resource=path, RequestId=secrets.token_hex(8)), status)


class XmlApi:
    """The calls over some buckets. `body_of` takes an upload's coding off and checks it."""

    def __init__(self, buckets: Buckets, region: str, body_of: Callable[[Call], bytes]) -> None:
        self._buckets = buckets
        self._region = region
        self._body_of = body_of
        self._uploads: dict[str, tuple[str, str, dict[int, Stored]]] = {}
        self._parts = Buckets("parts")

    def answer(self, call: Call) -> Answer:
        """Raises Refused."""
        bucket, _, name = unquote(call.path).removeprefix("/").partition("/")
        asked = set(call.query) - {"x-id"}
        if _UNKNOWN_CONDITIONS & set(call.fields):
            raise Refused("NotImplemented", 501)
        try:
            if name:
                return self._object(call, bucket, name, asked)
            return self._bucket(call, bucket, asked) if bucket else self._service(call, asked)
        except Missing as missing:
            raise Refused("NoSuchKey" if missing.bucket_exists else "NoSuchBucket", 404) from missing

    def _service(self, call: Call, asked: set[str]) -> Answer:
        if call.method != "GET" or asked:
            raise Refused("NotImplemented", 501)
        names = [_element("Bucket", Name=name) for name in self._buckets.names()]
        return _xml(_element("ListAllMyBucketsResult", Buckets=names))

    def _bucket(self, call: Call, bucket: str, asked: set[str]) -> Answer:
        self._buckets.names(bucket)
        if call.method == "HEAD" and not asked:
            return Answer(200, fields={"x-amz-bucket-region": self._region})
        if call.method == "GET" and asked == {"location"}:
            place = _element("LocationConstraint")
            place.text = self._region
            return _xml(place)
        if call.method == "GET" and call.query.get("list-type") == "2" and asked <= _ASKED_FOR_A_PAGE:
            return self._page(bucket, call.query)
        raise Refused("NotImplemented", 501)

    def _page(self, bucket: str, query: Mapping[str, str]) -> Answer:
        most = min(int(query.get("max-keys", "1000")), 1000)
        after = unquote(query.get("continuation-token", "")) or query.get("start-after", "")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        page = self._buckets.page(bucket, prefix, delimiter, after, most)
        shown = _quoted if query.get("encoding-type") == "url" else str
        root = _element(
            "ListBucketResult",
            Name=bucket,
            Prefix=shown(prefix),
            MaxKeys=str(most),
            KeyCount=str(len(page.objects) + len(page.prefixes)),
            IsTruncated="false" if page.after is None else "true",
        )
        if delimiter:
            root.append(_element("Delimiter", text=shown(delimiter)))
        if "encoding-type" in query:
            root.append(_element("EncodingType", text="url"))
        if page.after is not None:
            root.append(_element("NextContinuationToken", text=quote(page.after, safe="")))
        root.extend(
            _element(
                "Contents",
                Key=shown(stored.name),
                LastModified=stored.iso,
                ETag=stored.etag,
                Size=str(len(stored.body)),
                StorageClass="STANDARD",
            )
            for stored in page.objects
        )
        root.extend(_element("CommonPrefixes", Prefix=shown(prefix)) for prefix in page.prefixes)
        return _xml(root)

    def _object(self, call: Call, bucket: str, name: str, asked: set[str]) -> Answer:
        match call.method:
            case "GET" | "HEAD" if not asked:
                return _shown(self._buckets.get(bucket, name), call.fields)
            case "PUT" if not asked:
                return self._put(call, bucket, name)
            case "DELETE" if not asked:
                self._buckets.delete(bucket, name)
                return Answer(204)
        return self._multipart(call, bucket, name, asked)

    def _multipart(self, call: Call, bucket: str, name: str, asked: set[str]) -> Answer:
        match call.method:
            case "POST" if asked == {"uploads"}:
                return self._begin(bucket, name)
            case "PUT" if asked == _PART:
                return self._part(call)
            case "POST" if asked == {"uploadId"}:
                return self._complete(call)
            case "DELETE" if asked == {"uploadId"}:
                self._upload(call)
                del self._uploads[call.query["uploadId"]]
                return Answer(204)
        raise Refused("NotImplemented", 501)

    def _put(self, call: Call, bucket: str, name: str) -> Answer:
        wanted = {field: call.fields[field] for field in _CONDITIONS & set(call.fields)}
        if wanted not in ({}, {"if-none-match": "*"}):
            raise Refused("NotImplemented", 501)
        if wanted and name in self._buckets.names(bucket):
            raise Refused("PreconditionFailed", 412)
        kind = call.fields.get("content-type", "application/octet-stream")
        stored = self._buckets.put(bucket, name, self._body_of(call), kind)
        return Answer(200, fields={"ETag": stored.etag, "x-goog-generation": str(stored.generation)})

    def _begin(self, bucket: str, name: str) -> Answer:
        self._buckets.names(bucket)
        upload = secrets.token_hex(16)
        self._uploads[upload] = (bucket, name, {})
        return _xml(_element("InitiateMultipartUploadResult", Bucket=bucket, Key=name, UploadId=upload))

    def _upload(self, call: Call) -> tuple[str, str, dict[int, Stored]]:
        try:
            return self._uploads[call.query["uploadId"]]
        except KeyError as error:
            raise Refused("NoSuchUpload", 404) from error

    def _part(self, call: Call) -> Answer:
        _, _, parts = self._upload(call)
        number = int(call.query["partNumber"])
        parts[number] = self._parts.put("parts", f"{call.query['uploadId']}/{number}", self._body_of(call))
        return Answer(200, fields={"ETag": parts[number].etag})

    def _complete(self, call: Call) -> Answer:
        bucket, name, parts = self._upload(call)
        listed = [(_text(part, "PartNumber"), _text(part, "ETag")) for part in ET.fromstring(call.body)]
        if listed != [(str(number), part.etag.strip('"')) for number, part in sorted(parts.items())]:
            raise Refused("InvalidPart", 400)
        del self._uploads[call.query["uploadId"]]
        stored = self._buckets.put(bucket, name, b"".join(part.body for _, part in sorted(parts.items())))
        return _xml(_element("CompleteMultipartUploadResult", Bucket=bucket, Key=name, ETag=stored.etag))


def _shown(stored: Stored, asked: Mapping[str, str]) -> Answer:
    """The object, or the range of it that was asked for."""
    if asked.get("if-match", stored.etag) not in {stored.etag, "*"}:
        raise Refused("PreconditionFailed", 412)
    fields = {
        "ETag": stored.etag,
        "Last-Modified": stored.http_date,
        "Content-Type": stored.content_type,
        "Accept-Ranges": "bytes",
        "x-goog-generation": str(stored.generation),
    }
    if asked.get("if-none-match") in {stored.etag, "*"}:
        return Answer(304, fields=fields)
    return ranged(stored.body, asked.get("range"), fields)


def ranged(body: bytes, asked: str | None, fields: dict[str, str]) -> Answer:
    """The whole body, or the part that one Range field names. Raises Refused where it begins behind the end."""
    match = _RANGE.fullmatch(asked or "")
    if match is None or match.groups() == ("", ""):
        return Answer(200, body, fields)
    first, last = match.groups()
    begin = int(first) if first else max(0, len(body) - int(last))
    end = min(int(last) + 1, len(body)) if first and last else len(body)
    if begin >= end:
        raise Refused("InvalidRange", 416)
    return Answer(206, body[begin:end], fields | {"Content-Range": f"bytes {begin}-{end - 1}/{len(body)}"})


def _quoted(text: str) -> str:
    return quote(text, safe="/")


def _text(part: ET.Element, name: str) -> str:
    """The text below, whatever the namespace; ETags with or without quotes."""
    return (part.findtext(f"{{*}}{name}") or "").strip('"')


def _element(tag: str, /, text: str | None = None, **children: str | Iterable[ET.Element]) -> ET.Element:
    element = ET.Element(tag)
    element.text = text
    for name, child in children.items():
        below = ET.SubElement(element, name)
        if isinstance(child, str):
            below.text = child
        else:
            below.extend(child)
    return element


def _xml(root: ET.Element, status: int = 200) -> Answer:
    if root.tag != "Error":
        root.set("xmlns", _NAMESPACE)
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="utf-8")
    return Answer(status, body, {"Content-Type": "application/xml"})
