"""The node's own GCE metadata server, for the source that reads it; not the one that credbroker serves.

Facts: https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys
"""

from tests.fakes.google.oauth import OAuth
from tests.fakes.google.registry import Registry, ServiceAccount
from tests.fakes.google.wire import Answer, Call, Refusal, json_answer

FLAVOR = ("Metadata-Flavor", "Google")
ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default"


class Metadata:
    """A node whose default service account is `account`; it ignores the scopes asked for, as GCE does."""

    def __init__(self, registry: Registry, oauth: OAuth) -> None:
        self.registry = registry
        self.oauth = oauth
        self.account: ServiceAccount | None = None
        self.scopes: tuple[str, ...] = ()

    def answer(self, call: Call) -> Answer:
        """Any path of the server."""
        if self.account is None:
            raise Refusal(_text(404, "no instance"))
        if call.path == "/":
            return _text(200, "computeMetadata/\n")
        if call.fields.get("metadata-flavor") != "Google":
            raise Refusal(_text(403, "Missing required header"))
        if "x-forwarded-for" in call.fields:
            raise Refusal(_text(403, "forwarded"))
        return self._resource(call, self.account)

    def _resource(self, call: Call, account: ServiceAccount) -> Answer:
        match call.path:
            case "/computeMetadata/v1/project/project-id":
                return _text(200, account.project)
            case path if path == f"{ACCOUNT}/" and call.query.get("recursive") == "true":
                return json_answer(200, FLAVOR, aliases=["default"], email=account.email, scopes=list(self.scopes))
            case path if path == f"{ACCOUNT}/token":
                issued = self.registry.issue(account.email, self.scopes)
                return json_answer(
                    200, FLAVOR, access_token=issued.token, expires_in=self.registry.lifetime, token_type="Bearer"
                )
            case path if path == f"{ACCOUNT}/identity" and call.query.get("audience"):
                full = call.query.get("format") == "full"
                return _text(200, self.oauth.id_token(account, call.query["audience"], include_email=full))
        raise Refusal(_text(404, "not found"))


def _text(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), (("Content-Type", "application/text"), FLAVOR))
