"""AWS container credentials: what every SDK parses, down to the strictest, and boto3's own provider end to end."""

import json
import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.credentials import ContainerProvider
from botocore.utils import ContainerMetadataFetcher
from hypothesis import given
from hypothesis import strategies as st

from broker.dialects import aws_container
from broker.errors import NotReady, Refused
from broker.model import Facts, Kind, Want
from tests.dialects.leases import EXPIRES_TEXT, REQUEST_ID, a_lease, a_request, access_token, decoded, keys

STRICT_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
REQUEST = a_request("/aws/train")


def expiries() -> st.SearchStrategy[float]:
    """Any expiry that an upstream may state until the year 9999."""
    return st.floats(1_700_000_000, 253_402_300_799)


def shown(**changes: Any) -> Any:
    """The body that a lease is rendered to."""
    return decoded(aws_container.render(REQUEST, a_lease(keys(), **changes), 1800.0))


class TestParse:
    def test_no_name_is_the_first_aws_credential(self):
        """Most workers have one."""
        assert aws_container.parse(a_request("/aws")) == Want(Kind.AWS)

    def test_a_name_is_a_credential(self):
        """The kind goes along: a Google credential of that name is not wanted."""
        assert aws_container.parse(a_request("/aws/train")) == Want(Kind.AWS, "train")

    @pytest.mark.parametrize("path", ["/aws/", "/aws/a/", "/aws/a/b", "/aw", "/AWS", "/token", "/"])
    def test_anything_else_is_no_path_of_ours(self, path: str):
        """Exact match."""
        assert aws_container.parse(a_request(path)) is None


class TestRender:
    def test_the_fields_are_those_that_every_sdk_needs(self):
        """All strings, and no Code: SDKs take any but "Success" for an error."""
        assert shown(facts=Facts(account="123456789012")) == {
            "AccessKeyId": "ASIAEXAMPLE",
            "SecretAccessKey": "secret/key+",
            "Token": "session",
            "Expiration": EXPIRES_TEXT,
            "AccountId": "123456789012",
        }

    def test_an_account_that_is_not_known_is_left_out(self):
        """A null is no string."""
        assert "AccountId" not in shown()

    def test_a_store_without_session_tokens_sends_an_empty_one(self):
        """boto3 and obstore fail when the field is absent."""
        reply = aws_container.render(REQUEST, a_lease(keys(session_token="")), 1800.0)

        assert decoded(reply)["Token"] == ""

    @given(expiries())
    def test_the_expiry_is_what_the_strictest_sdk_parses(self, expires_at: float):
        """No fraction, no offset, a capital Z, and never later than the truth."""
        expiration = shown(expires_at=expires_at)["Expiration"]

        assert STRICT_DATE.fullmatch(expiration)
        assert datetime.fromisoformat(expiration).timestamp() <= expires_at

    def test_the_longest_session_token_fits(self):
        """CRT closes the connection on a body over 10,000 bytes; STS stays far below with its tokens."""
        reply = aws_container.render(REQUEST, a_lease(keys("t" * 8192), Facts(account="1" * 12)), 1800.0)

        assert len(reply.body) < 10_000

    def test_a_lease_of_another_kind_is_never_shown(self):
        """It would be another secret in the wrong shape."""
        with pytest.raises(TypeError):
            aws_container.render(REQUEST, a_lease(access_token()), 1800.0)


class TestRefuse:
    def test_both_spellings_say_the_same(self):
        """Go and Java read lower case, JS capitals."""
        body = decoded(aws_container.refuse(Refused(403, "AccessDenied", "not granted"), REQUEST_ID))

        assert body == {
            "code": "AccessDenied",
            "message": f"not granted (request {REQUEST_ID})",
            "Code": "AccessDenied",
            "Message": f"not granted (request {REQUEST_ID})",
        }

    def test_over_a_limit_is_503(self):
        """Java gives up on 429."""
        assert aws_container.refuse(Refused(429, "TooMany", "slower"), REQUEST_ID).status == 503

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 503])
    def test_other_statuses_are_kept(self, status: int):
        """4xx is final for most SDKs, 5xx is tried again."""
        assert aws_container.refuse(Refused(status, "Code", "advice"), REQUEST_ID).status == status


class TestBoto3:
    """botocore's own provider, its HTTP session replaced by the dialect."""

    def provider(self, answer: Any, asked: list[str]) -> ContainerProvider:
        def send(request: Any) -> Any:
            asked.append(request.headers["Authorization"])
            assert request.url == "http://127.0.0.1:9911/aws/train"
            reply = answer()
            return SimpleNamespace(status_code=reply.status, content=reply.body, text=reply.body.decode())

        # Any: botocore-stubs take the fetcher for another class.
        fetcher: Any = ContainerMetadataFetcher(session=SimpleNamespace(send=send), sleep=lambda _: None)
        environ = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9911/aws/train",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "cbw_token",
        }
        return ContainerProvider(environ=environ, fetcher=fetcher)

    def test_it_reads_the_lease(self):
        """Field by field, and the expiry to the second."""
        asked: list[str] = []
        lease = a_lease(keys(), Facts(account="123456789012"), expires_at=4_000_000_000.0)
        credentials: Any = self.provider(lambda: aws_container.render(REQUEST, lease, 1800.0), asked).load()

        assert asked == ["cbw_token"]
        assert tuple(credentials.get_frozen_credentials())[:3] == ("ASIAEXAMPLE", "secret/key+", "session")
        assert credentials.account_id == "123456789012"
        assert credentials._expiry_time == datetime.fromtimestamp(4_000_000_000, UTC)

    def test_it_shows_what_we_advise(self):
        """A person debugging a worker sees our words, not only a status."""
        error = NotReady("nothing is minted yet", retry_after=1.0)
        asked: list[str] = []

        with pytest.raises(Exception, match="nothing is minted yet"):
            self.provider(lambda: aws_container.refuse(error, REQUEST_ID), asked).load()

        assert len(asked) > 1  # a 503 is tried again

    def test_the_body_is_plain_json(self):
        """No trailing text, no BOM, one object."""
        assert json.loads(aws_container.render(REQUEST, a_lease(keys()), 1.0).body.decode("ascii"))
