"""Uploads of the JSON API: multipart/related bodies, and resumable sessions.

Facts: https://cloud.google.com/storage/docs/performing-resumable-uploads and .../uploading-objects.
"""

import re
import secrets

import msgspec

from tests.fakes.serving import Answer, Call
from tests.fakes.xml_api import Refused

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_QUANTUM = 256 * 1024  # every chunk but the last is a multiple of it


class Metadata(msgspec.Struct, rename="camel"):
    """What an upload says about its object; other members are allowed and not kept."""

    name: str = ""
    content_type: str = ""
    crc32c: str = ""
    md5_hash: str = ""

    @property
    def hashes(self) -> dict[str, str]:
        """Those that were stated."""
        return {name: text for name, text in (("crc32c", self.crc32c), ("md5Hash", self.md5_hash)) if text}


class Uploaded(msgspec.Struct, frozen=True):
    """A whole object; `hashes` are what the client stated, to be verified."""

    name: str
    body: bytes
    content_type: str
    hashes: dict[str, str]


def multipart(call: Call) -> Uploaded:
    """One part of JSON metadata, one of data. Raises Refused."""
    kind, _, boundary = call.fields.get("content-type", "").partition("boundary=")
    mark = b"--" + boundary.strip("'\"").encode()
    line = b"\r\n" if call.body.startswith(mark + b"\r\n") else b"\n"  # gcsfs writes bare line feeds
    before, *parts, after = (line + call.body).split(line + mark)
    if not kind.startswith("multipart/related") or before or len(parts) != 2 or not after.startswith(b"--"):
        raise Refused("badContent", 400)
    (_, _, metadata), (head, _, data) = (part.partition(line + line) for part in parts)
    said = msgspec.json.decode(metadata, type=Metadata)
    name = said.name or call.query.get("name", "")
    return Uploaded(name, data, said.content_type or _content_type(head), said.hashes)


def _content_type(head: bytes) -> str:
    for line in head.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "content-type":
            return value.strip()
    return "application/octet-stream"


class _Session:
    def __init__(self, said: Metadata, content_type: str) -> None:
        self.said = said
        self.content_type = content_type
        self.body = b""


class Uploads:
    """The resumable sessions that are open."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}

    def begin(self, call: Call) -> str:
        """A new session's address, on the Host that was asked."""
        said = msgspec.json.decode(call.body or b"{}", type=Metadata)
        said.name = said.name or call.query.get("name", "")
        kind = said.content_type or call.fields.get("x-upload-content-type", "application/octet-stream")
        upload = secrets.token_hex(16)
        self._sessions[upload] = _Session(said, kind)
        query = f"{call.raw_query}&upload_id={upload}"
        return f"http://{call.fields['host']}{call.path}?{query}"

    def more(self, call: Call) -> Uploaded | Answer:
        """The object when its last byte is here; before that, how far it is. Raises Refused."""
        session = self._sessions.get(call.query.get("upload_id", ""))
        if session is None:
            raise Refused("notFound", 404)
        whole = f"bytes 0-{len(call.body) - 1}/{len(call.body)}" if call.body else "bytes */0"
        match = _CONTENT_RANGE.fullmatch(call.fields.get("content-range", whole))
        if match is None:
            raise Refused("badContent", 400)
        first, last, total = match.groups()
        if first is not None:
            if int(first) != len(session.body) or int(last) - int(first) + 1 != len(call.body):
                raise Refused("badContent", 400)
            session.body += call.body
        if total != str(len(session.body)):
            if total == "*" and len(session.body) % _QUANTUM:
                raise Refused("badContent", 400)
            done = {"Range": f"bytes=0-{len(session.body) - 1}"} if session.body else {}
            return Answer(308, fields=done)
        del self._sessions[call.query["upload_id"]]
        return Uploaded(session.said.name, session.body, session.content_type, session.said.hashes)
