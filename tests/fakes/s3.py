"""A strict fake S3: every request carries a signature by a key that lives now, or is refused as S3 refuses it.

Which keys live is the registry's word (the fake STS keeps one), asked at each request. It counts what each key was
answered, so that a test can see a client move to a new one.
"""

import time
from collections import Counter
from collections.abc import Callable

from tests.fakes import s3_body
from tests.fakes.objects import Buckets
from tests.fakes.serving import Answer, Call, Served
from tests.fakes.sigv4 import KeyRecord, SignatureRefused, verify
from tests.fakes.tally import where
from tests.fakes.xml_api import Refused, XmlApi, refusal


class FakeS3:
    """One region's endpoint. `find` gives the record of a key id; `answer` may be used without a server."""

    def __init__(
        self,
        find: Callable[[str], KeyRecord | None],
        buckets: Buckets,
        region: str = "eu-west-1",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.answered: Counter[tuple[str, str]] = Counter()  # by access key id and folder
        self.refused: Counter[str] = Counter()  # by code
        self._find = find
        self._region = region
        self._clock = clock
        self._calls = XmlApi(buckets, region, _body)

    def serve(self, port: int = 0) -> Served:
        """The same over HTTP, from now until it is stopped."""
        return Served(self.answer, port)

    def answer(self, call: Call) -> Answer:
        """Who signed it, and then what it asks for."""
        try:
            record = self._signer(call)
            answer = self._calls.answer(call)
        except (SignatureRefused, Refused, s3_body.BadBody) as refused:
            self.refused[refused.code] += 1
            return refusal(refused.code, refused.status, call.path)
        self.answered[record.access_key_id, where(call)] += 1
        return answer

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
