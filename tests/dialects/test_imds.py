"""IMDSv2: its paths, what a role's document says, and its refusals."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.dialects import imds
from broker.dialects.imds import LONGEST_TTL, TTL_FIELD, NewToken, RoleList
from broker.errors import NotReady, Refused
from broker.head import parse
from broker.model import Facts, Kind, Lease, Want
from broker.secret import Secret
from broker.wire import Reply, Request
from tests.dialects.leases import EXPIRES_TEXT, REQUEST_ID, a_lease, a_request, access_token, decoded, keys, text

ROLES = "/latest/meta-data/iam/security-credentials"
EXTENDED = "/latest/meta-data/iam/security-credentials-extended"
ZONE = "/latest/meta-data/placement/availability-zone"
REGION = "/latest/meta-data/placement/region"
DOCUMENT = "/latest/dynamic/instance-identity/document"
LIFETIMES = {str(ttl) for ttl in range(1, LONGEST_TTL + 1)}
FACTS = Facts(account="123456789012", region="eu-west-1")


def a_get(path: str) -> Request:
    """A GET with a session token, which was found good before."""
    return a_request(path, X_aws_ec2_metadata_token="cbi_shown")


def a_put(**fields: str) -> Request:
    """A PUT that asks for a session token."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return parse("\r\n".join(["PUT /latest/api/token HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode())


def wish_or_status(request: Request) -> object:
    """What is wished for, or the status of the refusal."""
    try:
        return imds.parse(request)
    except Refused as refused:
        return refused.status


def shown(path: str, lease: Lease | None = None) -> Reply:
    """What a lease looks like there."""
    return imds.render(a_get(path), lease or a_lease(keys(), FACTS), 1800.0)


class TestNewToken:
    @pytest.mark.parametrize("ttl", [1, 60, 600, 21_599, LONGEST_TTL])
    def test_it_lives_as_long_as_is_asked(self, ttl: int):
        """Every SDK says how long; most say six hours."""
        assert imds.parse(a_put(X_aws_ec2_metadata_token_ttl_seconds=str(ttl))) == NewToken(ttl)

    @pytest.mark.parametrize(
        "ttl",
        ["0", "-1", "21601", "1e3", "", "+60", "6_0", "60.0", "0x3c", "060", "60 0", "sixty", "99999", "1" * 5000],
    )
    def test_any_other_ttl_is_400(self, ttl: str):
        """As IMDS says it; strictly digits."""
        with pytest.raises(Refused) as refused:
            imds.parse(a_put(X_aws_ec2_metadata_token_ttl_seconds=ttl))

        assert refused.value.status == 400

    @pytest.mark.parametrize("ttl", ["\u0661\u0662", "\u00b2", "\uff16\uff10"])
    def test_digits_of_other_scripts_are_none(self, ttl: str):
        """The head's parser lets none through; this one does not lean on that."""
        with pytest.raises(Refused) as refused:
            imds.parse(Request("PUT", ("latest", "api", "token"), (), {TTL_FIELD.lower(): ttl}, keep_alive=True))

        assert refused.value.status == 400

    def test_none_is_400_too(self):
        """A PUT that somebody was tricked into has no such field."""
        with pytest.raises(Refused) as refused:
            imds.parse(a_put())

        assert refused.value.status == 400

    @given(st.text(max_size=30) | st.integers(-10, 30_000).map(str))
    def test_whatever_is_asked_is_a_lifetime_or_400(self, ttl: str):
        """403, 404 and 405 would send clients to IMDSv1."""
        asked = Request("PUT", ("latest", "api", "token"), (), {TTL_FIELD.lower(): ttl}, keep_alive=True)

        assert wish_or_status(asked) == (NewToken(int(ttl)) if ttl in LIFETIMES else 400)

    def test_the_reply_carries_the_same_field(self):
        """Rust and Ruby fail without it."""
        reply = imds.token(Secret("cbi_text"), 600)

        assert (reply.status, text(reply), reply.headers) == (200, "cbi_text", ((TTL_FIELD, "600"),))

    def test_a_get_of_its_path_is_none(self):
        """A token comes by PUT alone."""
        assert imds.parse(a_get("/latest/api/token")) is None


class TestParse:
    @pytest.mark.parametrize("slash", ["", "/"])
    @pytest.mark.parametrize("folder", [ROLES, EXTENDED])
    def test_the_folder_lists_the_role(self, folder: str, slash: str):
        """object_store asks without the slash, botocore with it."""
        assert imds.parse(a_get(folder + slash)) == RoleList()

    @pytest.mark.parametrize("slash", ["", "/"])
    @pytest.mark.parametrize("folder", [ROLES, EXTENDED])
    def test_a_role_is_a_credential(self, folder: str, slash: str):
        """The kind goes along: a Google credential of that name is not wanted."""
        assert imds.parse(a_get(f"{folder}/train{slash}")) == Want(Kind.AWS, "train")

    @pytest.mark.parametrize("slash", ["", "/"])
    @pytest.mark.parametrize("path", [ZONE, REGION, DOCUMENT])
    def test_a_place_is_that_of_the_first_credential(self, path: str, slash: str):
        """The same that the role's name is of."""
        assert imds.parse(a_get(path + slash)) == Want(Kind.AWS)

    @pytest.mark.parametrize(
        "path",
        [
            *("/latest", "/latest/", "/latest/meta-data", "/latest/meta-data/", "/latest/meta-data/iam/info"),
            *(f"{ROLES}/a/b", f"{ROLES}/a//", f"{ROLES}//", "/latest/meta-data/iam/security-credentials-x"),
            *("/latest/user-data", "/latest/dynamic/instance-identity/signature", "/latest/meta-data/instance-id"),
            *("/Latest/meta-data/placement/region", "/latest/meta-data/placement/Region", "/1.0/meta-data/", "/aws/a"),
        ],
    )
    def test_anything_else_is_no_path_of_ours(self, path: str):
        """Facts of a machine are not invented."""
        assert imds.parse(a_get(path)) is None

    @pytest.mark.parametrize("path", [ROLES, f"{ROLES}/train", EXTENDED, ZONE, REGION, DOCUMENT, "/latest/user-data"])
    def test_without_a_session_token_everything_is_401(self, path: str):
        """That is IMDSv1, whoever asks and however else he is known: an SSRF can send it."""
        with pytest.raises(Refused) as refused:
            imds.parse(a_request(path, Authorization="attested"))

        assert (refused.value.status, refused.value.reason) == (401, "imds-v1")


class TestRoles:
    def test_the_first_credential_is_the_role(self):
        """Without a line end: botocore and object_store take the whole text for the name."""
        assert text(imds.roles(("train",))) == "train"

    def test_there_is_one_role(self):
        """A second line would become a part of the path that botocore asks for next."""
        assert text(imds.roles(("train", "other"))) == "train"

    def test_without_any_it_is_404(self):
        """As on an instance without a role: clients go on to the next place."""
        assert imds.roles(()).status == 404


class TestRender:
    def test_a_document_is_what_ec2_gives(self):
        """Code "Success", or SDKs take it for an error."""
        assert decoded(shown(f"{ROLES}/train")) == {
            "Code": "Success",
            "LastUpdated": "2026-09-21T13:43:20Z",
            "Type": "AWS-HMAC",
            "AccessKeyId": "ASIAEXAMPLE",
            "SecretAccessKey": "secret/key+",
            "Token": "session",
            "Expiration": EXPIRES_TEXT,
        }

    def test_the_extended_one_tells_the_account_too(self):
        """Java and Rust ask there first, and use account-based endpoints then."""
        plain, extended = decoded(shown(f"{ROLES}/train/")), decoded(shown(f"{EXTENDED}/train/"))

        assert extended == plain | {"AccountId": "123456789012"}

    def test_an_account_that_is_not_known_is_left_out(self):
        """A null is no string."""
        assert "AccountId" not in decoded(shown(f"{EXTENDED}/train", a_lease(keys())))

    def test_a_store_without_session_tokens_sends_an_empty_one(self):
        """boto3 and obstore fail when the field is absent."""
        assert decoded(shown(f"{ROLES}/train", a_lease(keys(session_token=""))))["Token"] == ""

    @given(st.floats(1_700_000_000, 253_402_300_799))
    def test_the_expiry_is_the_truth(self, expires_at: float):
        """EC2 promises to replace keys in time and some clients stretch them; ours are never stated longer."""
        body: Any = decoded(shown(f"{ROLES}/train", a_lease(keys(), expires_at=expires_at)))

        assert datetime.fromisoformat(body["Expiration"]).timestamp() <= expires_at

    @pytest.mark.parametrize("path", [f"{ROLES}/train", f"{EXTENDED}/train"])
    def test_a_lease_of_another_kind_is_never_shown(self, path: str):
        """It would be another secret in the wrong shape."""
        with pytest.raises(TypeError):
            shown(path, a_lease(access_token()))

    def test_the_region_is_the_credential_s(self):
        """And the zone one of it: botocore cuts the last letter off."""
        assert text(shown(REGION)) == text(shown(ZONE))[:-1] == "eu-west-1"

    def test_the_document_says_where_and_whose(self):
        """Go and Java read the region there."""
        assert decoded(shown(DOCUMENT)) == {"region": "eu-west-1", "accountId": "123456789012"}

    def test_a_region_that_is_not_known_is_not_invented(self):
        """Requests would go to another part of the world."""
        nowhere = a_lease(keys(), Facts(account="123456789012"))

        assert [shown(path, nowhere).status for path in (REGION, ZONE)] == [404, 404]
        assert decoded(shown(DOCUMENT, nowhere)) == {"accountId": "123456789012"}

    @pytest.mark.parametrize("path", [ZONE, REGION, DOCUMENT])
    def test_no_place_tells_a_secret(self, path: str):
        """Some programs write them into their logs."""
        assert b"secret" not in shown(path).body
        assert b"session" not in shown(path).body


class TestRefuse:
    def test_it_is_a_page_as_ec2_gives_it(self):
        """With our advice in it."""
        reply = imds.refuse(Refused(401, "Unauthorized", "who asks?"), REQUEST_ID)

        assert (reply.status, reply.content_type) == (401, "text/html")
        assert b"<title>401 - Unauthorized</title>" in reply.body
        assert b"who asks?" in reply.body

    def test_advice_is_no_markup(self):
        """It may name a field with a bracket."""
        assert b"&lt;b&gt;&amp;" in imds.refuse(Refused(400, "BadRequest", "<b>&"), REQUEST_ID).body

    def test_over_a_limit_is_503(self):
        """EC2 throttles so, and SDKs ask again."""
        assert imds.refuse(Refused(429, "TooMany", "slower"), REQUEST_ID).status == 503

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 503])
    def test_other_statuses_are_kept(self, status: int):
        """401 makes Go, JS and Ruby fetch a new session token."""
        assert imds.refuse(Refused(status, "Code", "advice"), REQUEST_ID).status == status

    def test_patience_is_asked_for(self):
        """Where it is known for how long."""
        assert imds.refuse(NotReady("nothing is minted yet", retry_after=1.0), REQUEST_ID).headers == (
            ("Retry-After", "1"),
        )
