"""What STS allows and refuses, for the fake: the API reference's rules over one made-up world. No sockets in here."""

import base64
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tests.fakes.sts_world import KeyRegistry, Role, StsKey, World

PACKED_LIMIT = 1024  # bytes of policies and tags, compressed; AWS does not tell its own measure
_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
_ROLE = re.compile(r"arn:aws:iam::(?P<account>\d{12}):role/(?:\S+/)?(?P<name>[\w+=,.@-]+)", re.ASCII)
_POLICY_ARN = re.compile(r"arn:aws:iam::(?:\d{12}|aws):policy/\S+", re.ASCII)


class Refused(Exception):
    """A refusal with AWS's code; the message is what AWS might say, and must never be seen in an error of ours."""

    def __init__(self, code: str, status: int = 400, message: str = "UPSTREAM-TEXT") -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.message = message


class Rules:
    """One method per action of STS: form parameters and the caller's key in, the members of the result out."""

    ACTIONS: ClassVar[Mapping[str, str]] = {
        "AssumeRole": "assume_role",
        "AssumeRoleWithWebIdentity": "assume_role_with_web_identity",
        "GetSessionToken": "get_session_token",
        "GetFederationToken": "get_federation_token",
        "GetCallerIdentity": "get_caller_identity",
    }

    NO_SUCH_ACTION: ClassVar[str] = "InvalidAction"

    def __init__(
        self, world: World, registry: KeyRegistry, now: Callable[[], float], lifetime: float | None = None
    ) -> None:
        self.world = world
        self.registry = registry
        self.now = now
        self.lifetime = lifetime  # given instead of what is asked, so that tests need not wait a quarter of an hour
        self._roles = {role.arn: role for role in world.roles}
        self._codes = {
            f"arn:aws:iam::{world.account}:mfa/{user.name}": set(user.mfa_codes)
            for user in world.users
            if user.mfa_codes
        }

    def run(self, action: str, form: Mapping[str, str], key: StsKey | None) -> dict[str, Any]:
        """The result of an action. Raises Refused."""
        if key is not None and key.kind == "federated" and action != "GetCallerIdentity":
            raise Refused("AccessDenied", 403)
        result: dict[str, Any] = getattr(self, self.ACTIONS[action])(form, key)
        return result

    def assume_role(self, form: Mapping[str, str], key: StsKey) -> dict[str, Any]:
        """AssumeRole: limits first, then trust."""
        name, role = _name(form, "RoleSessionName", 64), self._roles.get(form.get("RoleArn", ""))
        if not _ROLE.fullmatch(form.get("RoleArn", "")):
            raise Refused("ValidationError")
        seconds, tags, packed = _duration(form, 43_200, 3600), _tags(form), _packed(form)
        if role is None or not {"*", *key.principals} & set(role.trusts):
            raise Refused("AccessDenied", 403)
        if seconds > role.max_duration or (key.kind == "role" and seconds > 3600):
            raise Refused("ValidationError")
        mfa = self._mfa(form) or key.mfa
        if role.external_id not in {None, form.get("ExternalId")} or (role.mfa and not mfa):
            raise Refused("AccessDenied", 403)
        source = form.get("SourceIdentity", key.source_identity)
        if key.source_identity not in {None, source}:
            raise Refused("AccessDenied", 403)  # it cannot be changed along a chain
        transitive = _members(form, "TransitiveTagKeys")
        if not set(transitive) <= set(tags) or {name.lower() for name, _ in key.tags} & {name.lower() for name in tags}:
            raise Refused("InvalidParameterValue")
        kept = (*key.tags, *((name, tags[name]) for name in transitive))
        issued = self._issue_role(role, name, seconds, tags=kept, source_identity=source, mfa=mfa)
        return {**_role_result(issued), "PackedPolicySize": packed, **({"SourceIdentity": source} if source else {})}

    def assume_role_with_web_identity(self, form: Mapping[str, str], _: StsKey | None) -> dict[str, Any]:
        """AssumeRoleWithWebIdentity: the token is the caller."""
        name, seconds, packed = _name(form, "RoleSessionName", 64), _duration(form, 43_200, 3600), _packed(form)
        subject = self._subject(form.get("WebIdentityToken", ""))
        role = self._roles.get(form.get("RoleArn", ""))
        if role is None or subject not in role.subjects or seconds > role.max_duration:
            raise Refused("AccessDenied", 403)
        issued = self._issue_role(role, name, seconds)
        return {
            **_role_result(issued),
            "PackedPolicySize": packed,
            "SubjectFromWebIdentityToken": subject,
            "Audience": "sts.amazonaws.com",
        }

    def get_session_token(self, form: Mapping[str, str], key: StsKey) -> dict[str, Any]:
        """GetSessionToken: for long-term keys only."""
        if key.kind != "user":
            raise Refused("AccessDenied", 403, "Cannot call GetSessionToken with session credentials")
        seconds, mfa = _duration(form, 129_600, 43_200), self._mfa(form)
        return _result(
            self.registry.issue(
                expires_at=self._end(seconds),
                arn=key.arn,
                account=key.account,
                kind="session",
                principals=key.principals,
                mfa=mfa,
            )
        )

    def get_federation_token(self, form: Mapping[str, str], key: StsKey) -> dict[str, Any]:
        """GetFederationToken: likewise."""
        if key.kind != "user":
            raise Refused("AccessDenied", 403, "Cannot call GetFederationToken with session credentials")
        name, seconds = _name(form, "Name", 32), _duration(form, 129_600, 43_200)
        packed = _packed(form)
        arn = f"arn:aws:sts::{key.account}:federated-user/{name}"
        issued = self.registry.issue(
            expires_at=self._end(seconds), arn=arn, account=key.account, kind="federated", principals=(arn,)
        )
        user = {"Arn": arn, "FederatedUserId": f"{key.account}:{name}"}
        return {**_result(issued), "FederatedUser": user, "PackedPolicySize": packed}

    def get_caller_identity(self, _: Mapping[str, str], key: StsKey) -> dict[str, Any]:
        """GetCallerIdentity: anybody may."""
        return {"Arn": key.arn, "UserId": key.access_key_id, "Account": key.account}

    def _issue_role(self, role: Role, name: str, seconds: int, **more: Any) -> StsKey:
        found = _ROLE.fullmatch(role.arn)
        assert found
        arn = f"arn:aws:sts::{found['account']}:assumed-role/{found['name']}/{name}"
        account, end = found["account"], self._end(seconds)
        return self.registry.issue(
            expires_at=end, arn=arn, account=account, kind="role", principals=(role.arn, arn), **more
        )

    def _end(self, seconds: float) -> float:
        return float(int(self.now() + (self.lifetime or seconds)))

    def _mfa(self, form: Mapping[str, str]) -> bool:
        """Whether a device vouches for the caller; a wrong or used code is refused."""
        if "SerialNumber" not in form and "TokenCode" not in form:
            return False
        codes = self._codes.get(form.get("SerialNumber", ""), set())
        if form.get("TokenCode") not in codes:
            raise Refused("AccessDenied", 403, "MultiFactorAuthentication failed with invalid MFA one time pass code.")
        codes.remove(form["TokenCode"])
        return True

    def _subject(self, token: str) -> str:
        text, _, signature = token.rpartition(".")
        if not hmac.compare_digest(
            hmac.digest(self.world.web_secret.encode(), text.encode(), "sha256").hex(), signature
        ):
            raise Refused("InvalidIdentityToken")
        claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
        if claims["exp"] <= self.now():
            raise Refused("ExpiredTokenException")
        if claims["aud"] != "sts.amazonaws.com":
            raise Refused("InvalidIdentityToken")
        return str(claims["sub"])


def _result(key: StsKey) -> dict[str, Any]:
    return {"Credentials": key}


def _role_result(key: StsKey) -> dict[str, Any]:
    role_id = f"AROA{hashlib.sha256(key.arn.encode()).hexdigest()[:16].upper()}"
    return {
        "Credentials": key,
        "AssumedRoleUser": {"Arn": key.arn, "AssumedRoleId": f"{role_id}:{key.arn.rpartition('/')[2]}"},
    }


def _name(form: Mapping[str, str], field: str, longest: int) -> str:
    name = form.get(field, "")
    if not 2 <= len(name) <= longest or not _NAME.fullmatch(name):
        raise Refused("ValidationError")
    return name


def _duration(form: Mapping[str, str], longest: int, default: int) -> int:
    text = form.get("DurationSeconds", str(default))
    if not text.isdecimal() or not 900 <= int(text) <= longest:
        raise Refused("ValidationError")
    return int(text)


def _members(form: Mapping[str, str], field: str, part: str = "") -> list[str]:
    """`Field.member.1[.part]`, `.2`, ... in order."""
    found, index = [], 1
    while (name := f"{field}.member.{index}{part}") in form:
        found.append(form[name])
        index += 1
    return found


def _tags(form: Mapping[str, str]) -> dict[str, str]:
    names, values = _members(form, "Tags", ".Key"), _members(form, "Tags", ".Value")
    if len(names) != len(values) or len(names) > 50 or len({name.lower() for name in names}) < len(names):
        raise Refused("InvalidParameterValue")
    if any(not 1 <= len(name) <= 128 for name in names) or any(len(value) > 256 for value in values):
        raise Refused("ValidationError")
    return dict(zip(names, values, strict=True))


def _packed(form: Mapping[str, str]) -> int:
    """How much of the packed limit policies and tags use, in per cent."""
    policy, arns = form.get("Policy", ""), _members(form, "PolicyArns", ".arn")
    if len(arns) > 10 or len(policy) > 2048 or not all(_POLICY_ARN.fullmatch(arn) for arn in arns):
        raise Refused("ValidationError")
    if policy:
        try:
            document = json.loads(policy)
            statements = document["Statement"]
            sound = document["Version"] in {"2012-10-17", "2008-10-17"} and bool(statements)
        except (ValueError, LookupError, TypeError):
            sound = False
        if not sound:
            raise Refused("MalformedPolicyDocument")
    size = len(zlib.compress("\n".join([policy, *arns, *map(str, _tags(form).items())]).encode()))
    if size > PACKED_LIMIT:
        raise Refused("PackedPolicyTooLarge")
    return size * 100 // PACKED_LIMIT
