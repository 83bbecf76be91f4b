"""What a store's refusal means, by what it was asked; tests of `s3-static` have the question without a bucket."""

import pytest

from broker.errors import Denied, IdentityMissing, MintError, Throttled
from broker.model import AwsKeys
from broker.secret import Secret
from broker.sources.s3_knock import Question, knock
from tests.fakes.serving import Answer, Call, Served
from tests.fakes.xml_api import refusal

pytestmark = pytest.mark.usefixtures("aws_home")

KEYS = AwsKeys("KEY1", Secret("secret"), Secret(""))


class TestKnock:
    def test_it_asks_no_more_than_it_must(self):
        """One name, one byte."""
        seen: list[Call] = []

        def answer(call: Call) -> Answer:
            seen.append(call)
            return refusal("NoSuchKey", 404, call.path)

        with Served(answer) as served:
            knock(served.url, "auto", KEYS, Question.reading("data", "a"))
            knock(served.url, "auto", KEYS, Question.listing("data", "p/"))

        assert [(call.path, call.fields.get("range")) for call in seen] == [("/data/a", "bytes=0-0"), ("/data", None)]
        assert (seen[1].query["prefix"], seen[1].query["max-keys"]) == ("p/", "1")

    @pytest.mark.parametrize(
        ("code", "status", "error"),
        [
            ("NoSuchBucket", 404, Denied),
            ("AccessDenied", 403, Denied),
            ("Unauthorized", 401, IdentityMissing),
            ("SignatureDoesNotMatch", 403, IdentityMissing),
            ("SlowDown", 503, Throttled),
        ],
    )
    def test_a_refusal_of_what_the_keys_are_for_is_news(self, code: str, status: int, error: type[MintError]):
        """Keys for this bucket that may not read it are of no use."""
        with Served(lambda call: refusal(code, status, call.path)) as served, pytest.raises(error):
            knock(served.url, "auto", KEYS, Question.listing("data"))
