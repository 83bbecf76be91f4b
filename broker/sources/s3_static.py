"""`s3-static`: keys of any S3-compatible store that somebody else made, dispensed as AWS keys. Mints nothing.

Only `who`, for `check`, asks a store; it loads botocore and runs only in a minter.
"""

import re
from typing import Annotated, ClassVar

from msgspec import Meta

from broker.errors import IdentityMissing
from broker.model import AwsKeys, Facts, Given, Kind, Minted, Reference, Settings, Spec, Value
from broker.secret import Secret
from broker.sources import aws_sts, references
from broker.sources.aws_identity import DEFAULT_REGION, Identity, opened
from broker.sources.aws_specs import EndpointUrl, Region
from broker.sources.handing import REREAD, Reread, handed
from broker.sources.s3_knock import knock
from broker.sources.source import Source

_PRINTABLE = re.compile(r"[!-~]+")
_LONGEST = {"access_key_id": 128, "secret_access_key": 1024, "session_token": 8192}  # the reply stays under 10,000


class S3Static(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`s3-static`: long-lived keys of any store that speaks S3, served as every AWS SDK asks for keys."""

    kind: ClassVar[Kind] = Kind.AWS
    short_lived: ClassVar[bool] = False
    sts_regions: ClassVar[tuple[str, ...]] = ()  # as `aws_sts` asks who they are, where no endpoint_url is given

    access_key_id: Annotated[Reference, Meta(description="where the access key's id is read")]
    secret_access_key: Annotated[Reference, Meta(description="where the secret key is read")]
    session_token: Annotated[
        Reference | None, Meta(description="where a session token is read, if there is one; most stores have none")
    ] = None
    region: Annotated[Region | None, Meta(description="what requests are signed for, as workers are told")] = None
    endpoint_url: Annotated[
        EndpointUrl | None,
        Meta(description="where the store is, if not at AWS: S3_ENDPOINT_URL and AWS_ENDPOINT_URL_S3 of workers"),
    ] = None
    reread: Reread = REREAD

    def settings(self) -> Settings:
        """Where the store is: streaming reads one name, the AWS SDKs the other."""
        if self.endpoint_url is None:
            return ()
        return (("S3_ENDPOINT_URL", self.endpoint_url), ("AWS_ENDPOINT_URL_S3", self.endpoint_url))


def mint(spec: S3Static, _: Given) -> Minted:
    """The keys as they stand now, all of one moment."""
    asked = {"access_key_id": spec.access_key_id, "secret_access_key": spec.secret_access_key}
    if spec.session_token is not None:
        asked["session_token"] = spec.session_token
    found = references.read_together(asked)
    for name, secret in found.items():
        text = secret.open()
        if not _PRINTABLE.fullmatch(text) or len(text) > _LONGEST[name]:
            advice = f"{name}: {references.place(asked[name])} holds no such key: it has blanks or is too long"
            raise IdentityMissing(advice, code="ReferenceNoKey")
    key_id = found["access_key_id"].open()
    keys = AwsKeys(key_id, found["secret_access_key"], found.get("session_token", Secret("")))
    return handed(keys, Facts(principal=key_id, region=spec.region), spec.reread)


def who(spec: S3Static, value: Value) -> Facts:
    """Whose keys they are, as AWS says; another store can only say whether it knows them.

    Raises IdentityMissing where it does not.
    """
    assert isinstance(value, AwsKeys)
    local, identity = opened(None, spec.region), Identity(place="the keys", keys=value)
    if spec.endpoint_url is None:
        answer = aws_sts.ask(local, spec, identity, "get_caller_identity", "ask whose the keys are")
        return aws_sts.facts_of(answer.body.get("Arn"), local.region)
    knock(spec.endpoint_url, spec.region or DEFAULT_REGION, value)
    return Facts()


SOURCES = (Source(name="s3-static", spec=S3Static, mint=mint, who=who),)
