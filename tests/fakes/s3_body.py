"""The body of an S3 upload: the aws-chunked coding taken off, and every checksum stated in it or beside it verified.

Facts: "Signature calculation: transferring a payload in multiple chunks" and "Checking object integrity" in AWS's S3
documentation. Chunks that are signed one by one are refused as not implemented: over plain HTTP no client sends them.
"""

import base64
import functools
import hashlib
import zlib
from collections.abc import Callable, Mapping


class BadBody(Exception):
    """`code` and `status` as S3 refuses it."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


def read(fields: Mapping[str, str], body: bytes) -> bytes:
    """The object's bytes. Raises BadBody where length, coding or a checksum is not what was stated."""
    stated = dict(fields)
    payload = fields.get("x-amz-content-sha256", "")
    if payload.startswith("STREAMING-AWS4"):
        raise BadBody("NotImplemented", 501)
    if payload.startswith("STREAMING-") != ("aws-chunked" in fields.get("content-encoding", "")):
        raise BadBody("InvalidRequest", 400)
    if payload.startswith("STREAMING-"):
        body, trailers = _unchunked(body)
        if fields.get("x-amz-decoded-content-length") != str(len(body)):
            raise BadBody("IncompleteBody", 400)
        if set(trailers) != set(filter(None, fields.get("x-amz-trailer", "").split(","))):
            raise BadBody("MalformedTrailerError", 400)
        stated |= trailers
    _check(stated, body)
    return body


def _unchunked(body: bytes) -> tuple[bytes, dict[str, str]]:
    """The chunks joined, and the trailers behind them."""
    data = bytearray()
    try:
        while True:
            head, _, body = body.partition(b"\r\n")
            size = int(head, 16)  # an extension such as a chunk signature is a ValueError: nobody announced one
            if not size:
                break
            if len(body) < size + 2 or body[size : size + 2] != b"\r\n":
                raise BadBody("IncompleteBody", 400)
            data += body[:size]
            body = body[size + 2 :]
        lines = [line.decode("ascii").partition(":") for line in body.split(b"\r\n") if line]
    except ValueError as error:
        raise BadBody("IncompleteBody", 400) from error
    return bytes(data), {name.lower(): value.strip() for name, _, value in lines}


def _check(stated: Mapping[str, str], body: bytes) -> None:
    for name, digest in _DIGESTS.items():
        if name in stated and base64.b64encode(digest(body)).decode() != stated[name]:
            raise BadBody("BadDigest", 400)


@functools.cache
def _table(polynomial: int) -> list[int]:
    """The 256 steps of a reflected CRC."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        table.append(value)
    return table


def _crc(polynomial: int, width: int, data: bytes) -> bytes:
    """A reflected CRC that begins and ends with all bits turned, big-endian."""
    table, ones = _table(polynomial), (1 << 8 * width) - 1
    value = ones
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return (value ^ ones).to_bytes(width)


def crc32c(data: bytes) -> bytes:
    """Castagnoli's, which Google shows for every object."""
    return _crc(0x82F63B78, 4, data)


_DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "content-md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "x-amz-checksum-crc32": lambda body: zlib.crc32(body).to_bytes(4),
    "x-amz-checksum-crc32c": crc32c,
    "x-amz-checksum-crc64nvme": lambda body: _crc(0x9A6C9329AC4BC9B5, 8, body),
    "x-amz-checksum-sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
}
