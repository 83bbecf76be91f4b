"""What can be said about a mint at AWS, with the limits that the STS API reference states. Pure data.

Names may hold templates until `plan` has rendered them, and are checked against the same limits again afterwards.
"""

import hashlib
import ipaddress
import json
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from msgspec import Meta

from broker.model import Kind, Spec
from broker.sources.source import END, TEMPLATE

_NAME = rf"^(?:[A-Za-z0-9_+=,.@-]|{TEMPLATE})+{END}"
LONGEST_SESSION_NAME = 64
LONGEST_FEDERATED_NAME = 32
_LONGEST_POLICY = 2048
_HOUR = 3600
LONGEST_ROLE = 12 * _HOUR  # at AWS
LONGEST_ELSEWHERE = 7 * 24 * _HOUR  # MinIO
_SECONDS = {"unit": "seconds"}  # the configuration may say "45m"

Region = Annotated[str, Meta(pattern=rf"^[a-z0-9-]{{2,63}}{END}")]
RoleArn = Annotated[
    str, Meta(pattern=rf"^arn:[a-z0-9-]+:iam::[^:\s]*:role/(?:[^\s{{}}]|{TEMPLATE})+{END}", max_length=2048)
]
PolicyArn = Annotated[str, Meta(pattern=rf"^arn:[a-z0-9-]+:iam::[^:\s]*:policy/\S+{END}", max_length=2048)]
MfaSerial = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9_+=/:,.@-]{{9,256}}{END}")]
EndpointUrl = Annotated[str, Meta(pattern=rf"^https?://[^\s{{}}@]+{END}")]
# Not limited to STS's 64 and 32: a default of two templates may come out longer, and is then shortened.
SessionName = Annotated[str, Meta(pattern=_NAME, min_length=2, max_length=256)]
TagKey = Annotated[str, Meta(min_length=1, max_length=128)]
TagValue = Annotated[str, Meta(max_length=256)]
RoleDuration = Annotated[
    int,
    Meta(
        ge=900,
        le=LONGEST_ELSEWHERE,
        extra=_SECONDS,
        description="seconds, or like 45m; at AWS 12h at most, from a role session 1h; MinIO gives a week",
    ),
]
UserDuration = Annotated[int, Meta(ge=900, le=36 * _HOUR, extra=_SECONDS, description="seconds, or like 12h")]
Profile = Annotated[str | None, Meta(description="a profile of ~/.aws/config instead of what boto3 would find")]
Mfa = Annotated[
    MfaSerial | None,
    Meta(description='an MFA device, "arn:aws:iam::123456789012:mfa/alice"; `exec` and `check` ask for its code'),
]
Policy = Annotated[
    dict[str, Any] | None, Meta(description="a session policy as a table: what the keys may do at the very most")
]
PolicyArns = Annotated[tuple[PolicyArn, ...], Meta(max_length=10, description="managed session policies, by ARN")]
Tags = Annotated[dict[TagKey, TagValue], Meta(max_length=50, description="session tags")]


class _AtSts(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every call of STS has."""

    kind: ClassVar[Kind] = Kind.AWS

    region: Annotated[
        Region | None, Meta(description="the region of STS and of the workers; else the profile's, else us-east-1")
    ] = None
    sts_regions: Annotated[
        tuple[Region, ...], Meta(description="regions of STS to try in this order, when one does not answer the next")
    ] = ()
    endpoint_url: Annotated[
        EndpointUrl | None, Meta(description="another STS than AWS's: https, or http on loopback")
    ] = None

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """An endpoint to which keys would travel in the clear."""
        if self.endpoint_url is None or _is_private(self.endpoint_url):
            return ()
        return (("endpoint_url", "must be https, or http to a loopback address"),)


class Session(_AtSts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`aws-session`: GetSessionToken for an IAM user; the session itself if the local identity already is one."""

    profile: Profile = None
    duration: UserDuration = 12 * _HOUR
    mfa_serial: Mfa = None


class _WithPolicy(_AtSts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sessions that can be given less than their identity has."""

    policy: Policy = None
    policy_arns: PolicyArns = ()

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """A policy that STS would not even read."""
        size = 0 if self.policy is None else len(json.dumps(self.policy, separators=(",", ":")))
        if size <= _LONGEST_POLICY:
            return super().mistakes()
        text = f"has {size} characters as JSON, STS takes {_LONGEST_POLICY}: use policy_arns"
        return (*super().mistakes(), ("policy", text))


class AssumeRole(_WithPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`aws-assume-role`: AssumeRole, by the identity that boto3 finds or by the lease named in `from`."""

    role_arn: Annotated[RoleArn, Meta(description="the role to assume")]
    session_name: Annotated[SessionName, Meta(description="as CloudTrail shows it")] = "{hostname}-{caller}"
    duration: RoleDuration = _HOUR
    external_id: Annotated[
        Annotated[str, Meta(pattern=rf"^(?:[A-Za-z0-9_+=,.@:/-]|{TEMPLATE})+{END}", min_length=2, max_length=1224)]
        | None,
        Meta(description="what the role's trust policy demands of a third party"),
    ] = None
    tags: Tags = {}  # noqa: RUF012 - msgspec copies a default that is empty
    transitive_tags: Annotated[
        tuple[TagKey, ...], Meta(max_length=50, description="tags that roles chained from this one keep")
    ] = ()
    source_identity: Annotated[
        Annotated[str, Meta(pattern=_NAME, min_length=2, max_length=64)] | None,
        Meta(description="who is behind the session; it stays through every chain"),
    ] = None
    profile: Profile = None
    mfa_serial: Mfa = None

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """Transitive tags that are no tags."""
        strangers = [key for key in self.transitive_tags if key not in self.tags]
        return (
            *super().mistakes(),
            *_too_long_for_aws(self),
            *(("transitive_tags", "names a tag that is not among `tags`") for _ in strangers[:1]),
        )


class WebIdentity(_WithPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`aws-web-identity`: AssumeRoleWithWebIdentity with a token file, read anew at each mint."""

    role_arn: Annotated[RoleArn, Meta(description="the role to assume")]
    token_file: Annotated[
        str, Meta(pattern=rf"^/[^\n\x00]+{END}", description="an absolute path; its owner rotates the token in it")
    ]
    session_name: Annotated[SessionName, Meta(description="as CloudTrail shows it")] = "{hostname}-{caller}"
    duration: RoleDuration = _HOUR

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """A duration that AWS would refuse."""
        return (*super().mistakes(), *_too_long_for_aws(self))


class Federation(_WithPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`aws-federation`: GetFederationToken, with an IAM user's long-term keys; without a policy it may do nothing."""

    session_name: Annotated[SessionName, Meta(description="the federated user's name")] = "{caller}"
    duration: UserDuration = _HOUR
    tags: Tags = {}  # noqa: RUF012 - msgspec copies a default that is empty
    profile: Profile = None


def _too_long_for_aws(spec: "AssumeRole | WebIdentity") -> tuple[tuple[str, str], ...]:
    """Only the STS of another store gives a role's session more than half a day."""
    if spec.endpoint_url is not None or spec.duration <= LONGEST_ROLE:
        return ()
    return (("duration", "is 12h at most at AWS; another store's STS, named by endpoint_url, may give more"),)


def name_sent(spec: AssumeRole | WebIdentity | Federation) -> str:
    """The session name as STS is told it.

    Where it is too long, its end behind a digest of all of it, so that no two names become one.
    """
    name, longest = spec.session_name, LONGEST_FEDERATED_NAME if isinstance(spec, Federation) else LONGEST_SESSION_NAME
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{digest}.{name[len(digest) + 1 - longest :]}"


def _is_private(url: str) -> bool:
    """Whether what is sent there stays unread on its way."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "https":
            return True
        return parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
