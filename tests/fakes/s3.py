"""A strict fake S3: every request carries a signature by a key that lives now, or is refused as S3 refuses it.

Which keys live is the registry's word (the fake STS keeps one), asked at each request. It counts what each key was
answered, so that a test can see a client move to a new one. A bucket's owner may have terms, which are enforced too.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from urllib.parse import unquote

import msgspec

from tests.fakes import s3_body
from tests.fakes.objects import Buckets
from tests.fakes.serving import Answer, Call, Served
from tests.fakes.sigv4 import KeyRecord, SignatureRefused, verify
from tests.fakes.tally import where
from tests.fakes.xml_api import Refused, XmlApi, refusal

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl
_CANNED = {
    "private", "public-read", "public-read-write", "aws-exec-read", "authenticated-read", "bucket-owner-read",
    "bucket-owner-full-control", "log-delivery-write",
}  # fmt: skip


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner of a bucket asks of those who use its objects; `acl` as a bucket policy asks it of uploads."""

    requester_pays: bool = False
    acl: str | None = None


class FakeS3:
    """One region's endpoint. `find` gives the record of a key id; `answer` may be used without a server."""

    def __init__(
        self,
        find: Callable[[str], KeyRecord | None],
        buckets: Buckets,
        region: str = "eu-west-1",
        clock: Callable[[], float] = time.time,
        terms: Mapping[str, Terms] | None = None,
    ) -> None:
        self.answered: Counter[tuple[str, str]] = Counter()  # by access key id and folder
        self.refused: Counter[str] = Counter()  # by code
        self._find = find
        self._region = region
        self._clock = clock
        self._terms = terms or {}
        self._calls = XmlApi(buckets, region, _body)

    def serve(self, port: int = 0) -> Served:
        """The same over HTTP, from now until it is stopped."""
        return Served(self.answer, port)

    def answer(self, call: Call) -> Answer:
        """Who signed it, and then what it asks for."""
        try:
            record = self._signer(call)
            self._agreed(call)
            answer = self._calls.answer(call)
        except (SignatureRefused, Refused, s3_body.BadBody) as refused:
            self.refused[refused.code] += 1
            return refusal(refused.code, refused.status, call.path)
        self.answered[record.access_key_id, where(call)] += 1
        return answer

    def _agreed(self, call: Call) -> None:
        """Raises Refused where the call is about an object and does not meet its bucket's terms."""
        bucket, _, name = unquote(call.path).removeprefix("/").partition("/")
        terms, acl = self._terms.get(bucket, Terms()), call.fields.get("x-amz-acl")
        if acl is not None and acl not in _CANNED:
            raise Refused("InvalidArgument", 400)
        writes = call.method == "PUT" or (call.method == "POST" and "uploads" in call.query)
        unpaid = terms.requester_pays and call.fields.get("x-amz-request-payer") != "requester"
        if name and (unpaid or (writes and terms.acl not in {None, acl})):
            raise Refused("AccessDenied", 403)

    def _signer(self, call: Call) -> KeyRecord:
        return verify(
            call.method,
            call.path,
            call.raw_query,
            call.fields,
            call.body,
            self._find,
            "s3",
            self._clock(),
            region=self._region,
        )


def _body(call: Call) -> bytes:
    return s3_body.read(call.fields, call.body)
