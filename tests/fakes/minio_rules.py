"""What MinIO's STS allows and refuses, for the fake: `FakeSts(rules=MinioRules)`. No sockets in here.

It knows two actions and calls any other an invalid parameter, takes no notice of the role, names nobody in its answer,
gives 15 min to 7 days, and mints nothing for keys that it minted itself. As its server's source has it (2026).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.fakes.sts_rules import Refused, Rules
from tests.fakes.sts_world import StsKey

SHORTEST, LONGEST = 900, 604_800
LONGEST_POLICY = 2048


class MinioRules(Rules):
    """One method per action of MinIO's."""

    ACTIONS: ClassVar[Mapping[str, str]] = {
        "AssumeRole": "assume_role",
        "AssumeRoleWithWebIdentity": "assume_role_with_web_identity",
    }
    NO_SUCH_ACTION: ClassVar[str] = "InvalidParameterValue"

    def assume_role(self, form: Mapping[str, str], key: StsKey) -> dict[str, Any]:
        """AssumeRole: keys of the same user, with at most his rights."""
        if key.kind != "user":
            raise Refused("AccessDenied", 403)
        return self._issue(form, key.arn)

    def assume_role_with_web_identity(self, form: Mapping[str, str], _: StsKey | None) -> dict[str, Any]:
        """AssumeRoleWithWebIdentity: of whoever the token is."""
        return self._issue(form, self._subject(form.get("WebIdentityToken", "")))

    def _issue(self, form: Mapping[str, str], owner: str) -> dict[str, Any]:
        text = form.get("DurationSeconds", "3600")
        if not text.isdecimal() or not SHORTEST <= int(text) <= LONGEST or len(form.get("Policy", "")) > LONGEST_POLICY:
            raise Refused("InvalidParameterValue")
        issued = self.registry.issue(expires_at=self._end(int(text)), arn=owner, kind="session", principals=(owner,))
        return {"Credentials": issued, "AssumedRoleUser": {"Arn": "", "AssumeRoleId": ""}}
