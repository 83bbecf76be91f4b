"""Google's Security Token Service: `/v1/token` (RFC 8693 exchange) and `/v1/oauthtoken` (workforce refresh tokens).

Facts: https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token and access-resources-aws#exchange-token.
"""

import base64
import urllib.parse

import msgspec

from tests.fakes.google.registry import Pool, Registry
from tests.fakes.google.wire import Answer, Call, json_answer, oauth_refusal
from tests.fakes.sigv4 import KeyRecord, SignatureRefused, verify

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
AWS_REQUEST = "urn:ietf:params:aws:token-type:aws4_request"


class _Pair(msgspec.Struct):
    key: str
    value: str


class _SignedRequest(msgspec.Struct):
    url: str
    method: str
    headers: list[_Pair]


class Sts:
    """The endpoints over one registry; `aws_keys` are the AWS keys that AWS itself would accept."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.aws_keys: dict[str, KeyRecord] = {}

    def exchange(self, call: Call) -> Answer:
        """A subject token for a federated access token."""
        form = call.form()
        if form.get("grant_type") != EXCHANGE or form.get("requested_token_type") != ACCESS_TOKEN:
            raise oauth_refusal(400, "invalid_request", "Invalid value for grant_type or requested_token_type")
        pools = [pool for pool in self.registry.pools if pool.audience == form.get("audience")]
        if not pools or pools[0].subject_token_type != form.get("subject_token_type"):
            raise oauth_refusal(400, "invalid_request", "Invalid value for audience or subject_token_type")
        scopes = form.get("scope", "").split()
        if not scopes:
            raise oauth_refusal(400, "invalid_request", "Missing scope")
        principal = self._subject(pools[0], form.get("subject_token", ""))
        issued = self.registry.issue(principal, scopes)
        return json_answer(
            200,
            access_token=issued.token,
            issued_token_type=ACCESS_TOKEN,
            token_type="Bearer",
            expires_in=self.registry.lifetime,
        )

    def _subject(self, pool: Pool, subject_token: str) -> str:
        name = subject_token
        if pool.subject_token_type == AWS_REQUEST:
            name = self._aws_arn(pool, subject_token)
        if name not in pool.subjects:
            raise oauth_refusal(400, "invalid_grant", "The given credential is rejected by the attribute condition.")
        return pool.subjects[name]

    def _aws_arn(self, pool: Pool, subject_token: str) -> str:
        """What AWS would say when asked with the signed GetCallerIdentity request that is the subject token."""
        try:
            signed = msgspec.json.decode(urllib.parse.unquote(subject_token), type=_SignedRequest)
        except msgspec.DecodeError as error:
            raise oauth_refusal(400, "invalid_request", "The subject token is not a signed request") from error
        headers = {pair.key.lower(): pair.value for pair in signed.headers}
        if headers.pop("x-goog-cloud-target-resource", None) != pool.audience:
            raise oauth_refusal(400, "invalid_grant", "The signed request is not for this provider")
        parts = urllib.parse.urlsplit(signed.url)
        try:
            return verify(
                signed.method, parts.path or "/", parts.query, headers, b"", self.aws_keys.get, "sts",
                self.registry.clock(),
            ).arn  # fmt: skip
        except SignatureRefused as error:
            raise oauth_refusal(400, "invalid_grant", "AWS refused the signed request") from error

    def refresh(self, call: Call) -> Answer:
        """A workforce user's refresh token for an access token; the client shows itself by HTTP Basic."""
        form = call.form()
        scheme, _, shown = call.fields.get("authorization", "").partition(" ")
        client, _, secret = base64.b64decode(shown).decode().partition(":")
        known = [user for user in self.registry.users if user.client_id == client and user.client_secret == secret]
        if scheme != "Basic" or not known:
            raise oauth_refusal(401, "invalid_client", "The OAuth client was not found.")
        if form.get("grant_type") != "refresh_token" or form.get("refresh_token") != known[0].refresh_token:
            raise oauth_refusal(400, "invalid_grant", "The refresh token is not valid.")
        issued = self.registry.issue(known[0].email, known[0].scopes)
        return json_answer(
            200,
            access_token=issued.token,
            expires_in=self.registry.lifetime,
            refresh_token=known[0].refresh_token,
            token_type="Bearer",
        )
