"""Cloud Storage as it is to those who come with S3's protocol and HMAC keys, at its own host name.

A bucket is named by the host or by the path; the region is "auto". Google refuses uploads whose checksum follows the
body, which botocore makes by default since 1.36 (https://github.com/boto/boto3/issues/4400), as a wrong signature.
"""

import ssl
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from tests.fakes import s3_body
from tests.fakes.objects import Buckets
from tests.fakes.serving import Answer, Call, Served
from tests.fakes.sigv4 import KeyRecord, SignatureRefused, verify
from tests.fakes.xml_api import Refused, XmlApi, refusal

HOST = "storage.googleapis.com"


class FakeInterop(Served):
    """The store; `keys` are those that are active, by id, unless `find` knows them."""

    def __init__(
        self,
        buckets: Buckets,
        tls: ssl.SSLContext | None = None,
        find: Callable[[str], KeyRecord | None] | None = None,
    ) -> None:
        self.keys: dict[str, KeyRecord] = {}
        self._find = find or self.keys.get
        self.answered: Counter[str] = Counter()  # by key id
        self.refused: Counter[str] = Counter()  # by code
        self._xml = XmlApi(buckets, "EU", _body)
        super().__init__(self.answer, tls=tls)

    def answer(self, call: Call) -> Answer:
        """Who signed it, and then what it asks for."""
        where = (call.method, call.path, call.raw_query, call.fields, call.body)
        try:
            record = verify(*where, self._find, "s3", time.time(), region="auto")
            answer = self._xml.answer(_by_path(call))
        except (SignatureRefused, Refused, s3_body.BadBody) as refused:
            self.refused[refused.code] += 1
            return refusal(refused.code, refused.status, call.path)
        self.answered[record.access_key_id] += 1
        return answer


def _body(call: Call) -> bytes:
    if call.fields["x-amz-content-sha256"].startswith("STREAMING-"):
        raise Refused("SignatureDoesNotMatch", 403)
    return s3_body.read(call.fields, call.body)


def _by_path(call: Call) -> Call:
    """The same with its bucket in the path."""
    bucket = call.fields["host"].partition(":")[0].removesuffix(HOST).removesuffix(".")
    named = bool(bucket) and call.fields["host"].startswith(f"{bucket}.{HOST}")
    return msgspec.structs.replace(call, path=f"/{bucket}{call.path}") if named else call
