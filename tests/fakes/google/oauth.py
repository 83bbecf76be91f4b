"""Google's OAuth endpoints: `/token` (jwt-bearer and refresh_token), `/tokeninfo`, `/certs`.

Facts: https://developers.google.com/identity/protocols/oauth2/service-account and RFC 7523.
"""

import secrets
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes.google import jwt
from tests.fakes.google.registry import NotAccepted, Registry, ServiceAccount, User
from tests.fakes.google.wire import Answer, Call, json_answer, oauth_refusal

# google-auth always writes the first into an assertion, whatever `token_uri` the key file has.
AUDIENCES = ("https://oauth2.googleapis.com/token", "https://www.googleapis.com/oauth2/v4/token")
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LONGEST_ASSERTION = 3600
SKEW = 300  # how far Google lets a client's clock be ahead


class OAuth:
    """The endpoints over one registry; `key` signs ID tokens."""

    def __init__(self, registry: Registry, url: str, key: rsa.RSAPrivateKey) -> None:
        self.registry = registry
        self.url = url
        self.key = key

    def token(self, call: Call) -> Answer:
        """RFC 6749's token endpoint."""
        form = call.form()
        match form.get("grant_type"):
            case "refresh_token":
                return self._refresh(form)
            case grant if grant == JWT_BEARER:
                return self._assertion(form.get("assertion", ""))
        raise oauth_refusal(400, "unsupported_grant_type", "Invalid grant_type")

    def _assertion(self, assertion: str) -> Answer:
        account, claims = self._verified(assertion)
        if "target_audience" in claims:
            return json_answer(200, id_token=self.id_token(account, str(claims["target_audience"])))
        scopes = str(claims.get("scope", "")).split()
        if not scopes:
            raise oauth_refusal(400, "invalid_scope", "Empty or missing scope not allowed.")
        issued = self.registry.issue(account.email, scopes)
        return json_answer(200, access_token=issued.token, expires_in=self.registry.lifetime, token_type="Bearer")

    def _verified(self, assertion: str) -> tuple[ServiceAccount, dict[str, Any]]:
        try:
            header, claims = jwt.read(assertion)
            account = self.registry.accounts.get(str(claims.get("iss")))
            if account is None:
                raise oauth_refusal(400, "invalid_grant", "Invalid grant: account not found")
            if header.get("kid") not in {None, account.key_id}:
                raise oauth_refusal(400, "invalid_grant", "Invalid JWT Signature.")
            jwt.verify(assertion, account.key.public_key())
        except jwt.BadJwt as error:
            raise oauth_refusal(400, "invalid_grant", "Invalid JWT Signature.") from error
        now, issued, ends = self.registry.clock(), claims.get("iat"), claims.get("exp")
        if claims.get("aud") not in {*AUDIENCES, f"{self.url}/token"}:
            raise oauth_refusal(400, "invalid_grant", "Invalid JWT: wrong audience")
        if not isinstance(issued, int) or not isinstance(ends, int):
            raise oauth_refusal(400, "invalid_grant", "Invalid JWT: iat and exp are needed")
        if issued > now + SKEW or ends <= now or ends - issued > LONGEST_ASSERTION:
            raise oauth_refusal(400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)")
        return account, claims

    def _refresh(self, form: dict[str, str]) -> Answer:
        known = [user for user in self.registry.users if user.client_id == form.get("client_id")]
        if not known or known[0].client_secret != form.get("client_secret"):
            raise oauth_refusal(401, "invalid_client", "The OAuth client was not found.")
        if known[0].refresh_token != form.get("refresh_token"):
            raise oauth_refusal(400, "invalid_grant", "Token has been expired or revoked.")
        asked = form.get("scope", "").split() or list(known[0].scopes)
        if not set(asked) <= set(known[0].scopes):
            raise oauth_refusal(400, "invalid_scope", "Some requested scopes were invalid")
        issued = self.registry.issue(known[0].email, asked)
        beside = {"id_token": self._persons_id_token(known[0])} if "openid" in asked else {}
        return json_answer(
            200,
            access_token=issued.token,
            expires_in=self.registry.lifetime,
            scope=" ".join(asked),
            token_type="Bearer",
            **beside,
        )

    def _persons_id_token(self, user: User) -> str:
        """For the OAuth client itself, as OpenID Connect has it."""
        now = int(self.registry.clock())
        claims = {"iss": "https://accounts.google.com", "aud": user.client_id, "iat": now, "exp": now + 3600}
        return jwt.sign(self.key, claims | {"email": user.email, "email_verified": True})

    def id_token(self, account: ServiceAccount, audience: str, *, include_email: bool = True) -> str:
        """A signed OIDC token of that account."""
        now = int(self.registry.clock())
        claims: dict[str, Any] = {
            "iss": "https://accounts.google.com",
            "aud": audience,
            "azp": account.unique_id,
            "sub": account.unique_id,
            "iat": now,
            "exp": now + min(self.registry.lifetime, 3600),
            "jti": secrets.token_hex(8),
        }
        if include_email:
            claims |= {"email": account.email, "email_verified": True}
        return jwt.sign(self.key, claims)

    def tokeninfo(self, call: Call) -> Answer:
        """Whose token that is; only a POST, so that no token stands in a URL."""
        if call.method != "POST":
            raise oauth_refusal(405, "invalid_request", "this fake wants tokens in bodies")
        try:
            issued = self.registry.look_up(call.form().get("access_token", ""))
        except NotAccepted as error:
            raise oauth_refusal(400, "invalid_token", "Invalid Value") from error
        account = self.registry.accounts.get(issued.principal)
        subject = account.unique_id if account else "1" + secrets.token_hex(4)
        return json_answer(
            200,
            azp=subject,
            aud=subject,
            sub=subject,
            scope=" ".join(sorted(issued.scopes)),
            exp=str(int(issued.expires_at)),
            expires_in=str(int(issued.expires_at - self.registry.clock())),
            email=issued.principal,
            email_verified="true",
            access_type="online",
        )

    def certs(self, _call: Call) -> Answer:
        """The JWKS that ID tokens are verified with."""
        return json_answer(200, keys=[jwt.public_jwk(self.key.public_key())])
