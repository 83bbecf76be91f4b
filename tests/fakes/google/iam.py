"""The IAM Credentials API over REST: generateAccessToken and generateIdToken.

Facts: https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
"""

import itertools
import re
from datetime import UTC, datetime
from typing import Any

from tests.fakes.google.oauth import OAuth
from tests.fakes.google.registry import IAM, NotAccepted, Registry, ServiceAccount
from tests.fakes.google.wire import Answer, Call, api_refusal, json_answer

PATH = re.compile(r"/v1/projects/-/serviceAccounts/(?P<email>[^/:]+):(?P<verb>generateAccessToken|generateIdToken)")
HOUR = 3600
DELEGATE = "projects/-/serviceAccounts/"
_LIFETIME = re.compile(r"(\d{1,6})s")


class IamCredentials:
    """The API over one registry."""

    def __init__(self, registry: Registry, oauth: OAuth) -> None:
        self.registry = registry
        self.oauth = oauth

    def access_token(self, call: Call) -> Answer:
        """A token of the service account in the path."""
        account, body = self._allowed(call, {"scope", "lifetime", "delegates", "name"})
        scopes = body.get("scope")
        if not isinstance(scopes, list) or not scopes:
            raise api_refusal(400, "INVALID_ARGUMENT", "Scope required.")
        stated = _LIFETIME.fullmatch(str(body.get("lifetime", "3600s")))
        if stated is None or not 0 < int(stated[1]) <= self.registry.longest:
            raise api_refusal(400, "INVALID_ARGUMENT", "The token lifetime is over the limit.")
        # A fake that was told to issue tokens of 70 s does so whatever is asked for.
        shortened = self.registry.lifetime < HOUR
        issued = self.registry.issue(account.email, scopes, self.registry.lifetime if shortened else int(stated[1]))
        return json_answer(
            200,
            accessToken=issued.token,
            expireTime=datetime.fromtimestamp(int(issued.expires_at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def id_token(self, call: Call) -> Answer:
        """An ID token of the service account in the path."""
        account, body = self._allowed(
            call, {"audience", "includeEmail", "delegates", "name", "organizationNumberIncluded"}
        )
        if not body.get("audience"):
            raise api_refusal(400, "INVALID_ARGUMENT", "Audience required.")
        include_email = body.get("includeEmail") is True
        return json_answer(200, token=self.oauth.id_token(account, body["audience"], include_email=include_email))

    def _allowed(self, call: Call, known: set[str]) -> tuple[ServiceAccount, dict[str, Any]]:
        """The target and the request's body, if the bearer may act as the target through every delegate."""
        try:
            principal = self.registry.check(call.bearer, IAM)
        except NotAccepted as error:
            word = "UNAUTHENTICATED" if error.status == 401 else "PERMISSION_DENIED"
            raise api_refusal(error.status, word, "Request had invalid authentication credentials.") from error
        matched = PATH.fullmatch(call.path)
        body = call.members()
        if matched is None or set(body) - known:
            raise api_refusal(400, "INVALID_ARGUMENT", "Unknown name in the request")
        chain = [principal, *(str(name).removeprefix(DELEGATE) for name in body.get("delegates", ())), matched["email"]]
        if not all(self.registry.may(one, other) for one, other in itertools.pairwise(chain)):
            raise api_refusal(403, "PERMISSION_DENIED", "Permission 'iam.serviceAccounts.getAccessToken' denied")
        account = self.registry.accounts.get(matched["email"])
        if account is None:
            raise api_refusal(404, "NOT_FOUND", "Unknown service account")
        return account, body
