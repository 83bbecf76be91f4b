"""AWS session keys from STS: four sources, each one call. Limits are as the STS API reference states them.

Mint functions load botocore and run only in a minter; the specs are in `aws_specs`.
"""

import json
from typing import Any

import msgspec

from broker.errors import Denied, IdentityMissing
from broker.model import AwsKeys, Facts, Given, Kind, Minted, Value
from broker.sources import aws_sts
from broker.sources.aws_identity import MFA_ADVICE, Identity, Local, found, handed_on, look, opened
from broker.sources.aws_specs import AssumeRole, Federation, Session, WebIdentity, name_sent
from broker.sources.source import Source

LONGEST_WEB_TOKEN = 20_000
LEAST_WEB_TOKEN = 4
# What the STS of other stores says to GetCallerIdentity where it knows only how to mint (MinIO the first).
NO_SUCH_QUESTION = frozenset({"InvalidParameterValue", "InvalidAction", "MethodNotAllowed", "NotImplemented"})


def session(spec: Session, given: Given) -> Minted:
    """What boto3's chain finds: GetSessionToken for an IAM user's keys, a session that it finds is handed on."""
    local = opened(spec.profile, spec.region, given.mfa_code)
    identity = found(local)
    if identity.temporary:
        return handed_on(identity, local.region)
    answer = aws_sts.ask(
        local,
        spec,
        identity,
        "get_session_token",
        "get a session",
        DurationSeconds=spec.duration,
        **_mfa(spec.mfa_serial, given),
    )
    return aws_sts.minted(answer, Facts(account=identity.account, region=local.region))


def assume_role(spec: AssumeRole, given: Given) -> Minted:
    """AssumeRole, signed by the base lease if there is one, else by what boto3's chain finds."""
    local, identity = _signer(spec, given)
    answer = aws_sts.ask(
        local,
        spec,
        identity,
        "assume_role",
        f"assume {spec.role_arn}",
        RoleArn=spec.role_arn,
        RoleSessionName=name_sent(spec),
        DurationSeconds=spec.duration,
        ExternalId=spec.external_id,
        Policy=_document(spec.policy),
        PolicyArns=_arns(spec.policy_arns),
        Tags=_tags(spec.tags),
        TransitiveTagKeys=list(spec.transitive_tags),
        SourceIdentity=spec.source_identity,
        **_mfa(spec.mfa_serial, given),
    )
    return _of_role(answer, local.region)


def web_identity(spec: WebIdentity, _: Given) -> Minted:
    """AssumeRoleWithWebIdentity: unsigned, the token file is the identity."""
    token = _web_token(spec.token_file)  # read first: without it there is nothing to ask
    local = opened(None, spec.region)
    answer = aws_sts.ask(
        local,
        spec,
        Identity(place=f"the token in {spec.token_file}"),
        "assume_role_with_web_identity",
        f"assume {spec.role_arn}",
        RoleArn=spec.role_arn,
        RoleSessionName=name_sent(spec),
        WebIdentityToken=token,
        DurationSeconds=spec.duration,
        Policy=_document(spec.policy),
        PolicyArns=_arns(spec.policy_arns),
    )
    return _of_role(answer, local.region)


def federation(spec: Federation, given: Given) -> Minted:
    """GetFederationToken, which only the long-term keys of an IAM user may ask for."""
    local, identity = _signer(spec, given)
    if identity.temporary:
        advice = f"GetFederationToken takes an IAM user's own keys, not {identity.place}: name a profile that has them"
        raise Denied(advice, code="TemporaryIdentity")
    answer = aws_sts.ask(
        local,
        spec,
        identity,
        "get_federation_token",
        "get a federation token",
        Name=name_sent(spec),
        DurationSeconds=spec.duration,
        Policy=_document(spec.policy),
        PolicyArns=_arns(spec.policy_arns),
        Tags=_tags(spec.tags),
    )
    user = answer.body.get("FederatedUser")
    return aws_sts.minted(answer, aws_sts.facts_of(user.get("Arn") if isinstance(user, dict) else None, local.region))


def who(spec: Session | AssumeRole | WebIdentity | Federation, value: Value) -> Facts:
    """Whose keys these are, by GetCallerIdentity at the endpoint that minted them."""
    assert isinstance(value, AwsKeys)
    local = opened(None if isinstance(spec, WebIdentity) else spec.profile, spec.region)
    identity = Identity(place="the new keys", keys=value)
    try:
        answer = aws_sts.ask(local, spec, identity, "get_caller_identity", "ask who the new keys are")
    except Denied as denied:
        if spec.endpoint_url is not None and denied.code in NO_SUCH_QUESTION:
            return Facts(region=local.region)
        raise
    return aws_sts.facts_of(answer.body.get("Arn"), local.region)


def find(spec: Session) -> str | None:
    """Which identity zero configuration would use: a phrase, or None. Asks at most an instance's metadata server."""
    return look(spec.profile)


def _signer(spec: AssumeRole | Federation, given: Given) -> tuple[Local, Identity]:
    """An open session, and the identity that signs: the base lease before anything that is found locally."""
    local = opened(spec.profile, spec.region, given.mfa_code)
    if isinstance(given.base, AwsKeys):
        return local, Identity(place="the lease it chains from", keys=given.base)
    return local, found(local)


def _of_role(answer: aws_sts.Answer, region: str | None) -> Minted:
    role = answer.body.get("AssumedRoleUser")
    minted = aws_sts.minted(answer, aws_sts.facts_of(role.get("Arn") if isinstance(role, dict) else None, region))
    if minted.facts.identity is not None or not isinstance(minted.value, AwsKeys):
        return minted
    # The STS of some stores names nobody; their own logs know the session by its key.
    facts = msgspec.structs.replace(minted.facts, principal=minted.value.access_key_id)
    return msgspec.structs.replace(minted, facts=facts)


def _mfa(serial: str | None, given: Given) -> dict[str, str]:
    """The MFA parameters of a call. Raises IdentityMissing where a code is needed and not at hand."""
    if serial is None:
        return {}
    if given.mfa_code is None:
        raise IdentityMissing(f"STS needs an MFA code of {serial}: {MFA_ADVICE}", code="MfaRequired")
    return {"SerialNumber": serial, "TokenCode": given.mfa_code.open()}


def _web_token(path: str) -> str:
    """The token in the file as it is now: its issuer rotates it."""
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - one bounded read
            token = file.read(LONGEST_WEB_TOKEN + 2).strip()
    except (OSError, UnicodeDecodeError) as error:
        advice = f"the token file {path} cannot be read ({type(error).__name__}): check that it exists and is readable"
        raise IdentityMissing(advice, code="TokenFileUnreadable") from None
    if not LEAST_WEB_TOKEN <= len(token) <= LONGEST_WEB_TOKEN or not token.isprintable():
        raise IdentityMissing(f"the token file {path} holds no web identity token", code="TokenFileUnreadable")
    return token


def _document(policy: dict[str, Any] | None) -> str | None:
    """A policy as STS takes it: compact, and ASCII because STS takes no more than Latin-1."""
    return None if policy is None else json.dumps(policy, separators=(",", ":"))


def _arns(arns: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"arn": arn} for arn in arns]


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


SOURCES = (
    Source(name="aws-session", spec=Session, mint=session, who=who, find=find),
    Source(name="aws-assume-role", spec=AssumeRole, mint=assume_role, who=who, base=Kind.AWS),
    Source(name="aws-web-identity", spec=WebIdentity, mint=web_identity, who=who),
    Source(name="aws-federation", spec=Federation, mint=federation, who=who),
)
