"""Google: access tokens and ID tokens from application default credentials or by acting as a service account.

The specs and the functions of each source. How an identity is found stands in google_adc, how it becomes a token in
google_login and google_iam, how Google is asked in google_wire, what it may answer in google_answers.
"""

import os
import re
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from broker.errors import Denied, IdentityMissing
from broker.model import AccessToken, Facts, Given, Kind, Minted, Spec, Value
from broker.secret import Secret
from broker.sources import google_adc, google_iam, google_login
from broker.sources.google_adc import Identity
from broker.sources.google_iam import Target
from broker.sources.google_wire import check_url
from broker.sources.source import END, Source

HOUR = 3600
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
_PROJECT_OF = re.compile(r"[^@]+@([a-z][a-z0-9-]{4,28}[a-z0-9])\.iam\.gserviceaccount\.com")

Scope = Annotated[str, Meta(min_length=1, max_length=512, pattern=rf"^[!-~]+{END}")]
Scopes = Annotated[
    tuple[Scope, ...], Meta(min_length=1, max_length=100, description="OAuth scopes of the tokens; never widened")
]
Account = Annotated[str, Meta(max_length=256, pattern=rf"^[A-Za-z0-9._{{}}-]+@[A-Za-z0-9.{{}}-]+{END}")]
Audience = Annotated[str, Meta(min_length=1, max_length=2048, pattern=rf"^[!-~]+{END}")]
Audiences = Annotated[
    tuple[Audience, ...],
    Meta(max_length=100, description="The only audiences for which an ID token may be minted from this credential"),
]
Lifetime = Annotated[
    int,
    Meta(
        ge=60,
        le=12 * HOUR,
        description="How long the tokens live; over 1h needs an organisation policy",
        extra={"unit": "seconds"},
    ),
]
Project = Annotated[str, Meta(min_length=1, max_length=100, pattern=rf"^[A-Za-z0-9.:_{{}}-]+{END}")]
Url = Annotated[str, Meta(max_length=2048, pattern=rf"^https?://[^/\s]+/?{END}")]
File = Annotated[str, Meta(min_length=1, max_length=4096, extra={"unit": "path"})]


class _Google(Spec, frozen=True, kw_only=True):
    """What every Google credential may say."""

    kind: ClassVar[Kind] = Kind.GOOGLE

    scopes: Scopes = (CLOUD_PLATFORM,)
    audiences: Audiences = ()
    project: Annotated[Project, Meta(description="The project that workers are told")] | None = None
    quota_project: Annotated[Project, Meta(description="The project that workers' calls are billed to")] | None = None
    endpoint_url: Annotated[Url, Meta(description="Where the IAM Credentials API is, if not at Google's")] | None = None

    @property
    def endpoint(self) -> str | None:
        """`endpoint_url`, ready to be continued by a path."""
        return self.endpoint_url.rstrip("/") if self.endpoint_url else None

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """A plain http endpoint that is not on this machine."""
        if self.endpoint_url is None:
            return ()
        try:
            check_url(self.endpoint_url)
        except Denied:
            return (("endpoint_url", "must be https, or http to this machine"),)
        return ()


class Adc(_Google, frozen=True, kw_only=True):
    """Application default credentials, of whatever type is found."""

    file: Annotated[File, Meta(description="A credentials file, instead of the search for one")] | None = None
    lifetime: (
        Annotated[
            Lifetime,
            Meta(description="How long tokens of a service account live that the file says to act as; else as it says"),
        ]
        | None
    ) = None


class Impersonate(_Google, frozen=True, kw_only=True):
    """Acting as a service account, by one call of generateAccessToken."""

    service_account: Annotated[Account, Meta(description="The e-mail of the service account to act as")]
    lifetime: Lifetime = HOUR
    delegates: Annotated[
        tuple[Account, ...],
        Meta(max_length=20, description="Service accounts between the identity and the target, in order"),
    ] = ()


def mint_adc(spec: Adc, given: Given) -> Minted:  # noqa: ARG001 - every source is called alike
    """An access token of the identity that is found, or of the service account that it says to impersonate."""
    identity = google_adc.search(spec.file)
    facts = _found_facts(spec, identity)
    if identity.acts_as is None:
        return google_login.access_token(identity, spec.scopes, facts)
    lifetime = spec.lifetime or identity.acts_as.lifetime or HOUR
    target = Target.of(identity, spec.endpoint)
    return google_iam.access_token(target, google_login.bearer(identity), spec.scopes, lifetime, facts)


def id_token_adc(spec: Adc, given: Given) -> Minted:
    """An ID token of the identity that is found, for one of the audiences of the spec. Raises Denied for any other."""
    audience = _audience(spec, given)
    identity = google_adc.search(spec.file)
    facts = _found_facts(spec, identity)
    if identity.acts_as is None:
        return google_login.id_token(identity, audience, facts)
    return google_iam.id_token(Target.of(identity, spec.endpoint), google_login.bearer(identity), audience, facts)


def mint_impersonate(spec: Impersonate, given: Given) -> Minted:
    """An access token of `service_account`, asked for with the base lease if there is one, else with the ADC."""
    target, bearer = _target_and_bearer(spec, given)
    return google_iam.access_token(target, bearer, spec.scopes, spec.lifetime, _target_facts(spec))


def id_token_impersonate(spec: Impersonate, given: Given) -> Minted:
    """An ID token of `service_account` for one of the audiences of the spec. Raises Denied for any other."""
    audience = _audience(spec, given)
    target, bearer = _target_and_bearer(spec, given)
    return google_iam.id_token(target, bearer, audience, _target_facts(spec))


def who_adc(spec: Adc, value: Value) -> Facts:
    """Whose token that is by Google's word, or by the identity's file where Google does not say."""
    identity = google_adc.search(spec.file)
    where = spec.endpoint_url or (identity.acts_as.endpoint if identity.acts_as else identity.token_uri)
    return google_login.asked(value, _found_facts(spec, identity), where)


def who_impersonate(spec: Impersonate, value: Value) -> Facts:
    """Whose token that is by Google's word, or by the spec where Google does not say."""
    return google_login.asked(value, _target_facts(spec), spec.endpoint_url)


def find_adc(spec: Adc) -> str | None:
    """Which identity would be used, in a few words, or None. Raises IdentityMissing or Denied for one of no use."""
    try:
        return google_adc.search(spec.file).words
    except IdentityMissing as error:
        if error.code == "NoCredentials":
            return None
        raise


def _target_and_bearer(spec: Impersonate, given: Given) -> tuple[Target, Secret]:
    """Whom to act as, and the token to ask with: the base lease's, else one of the ADC, itself impersonated or not."""
    endpoint = spec.endpoint or google_iam.ENDPOINT
    target = Target(service_account=spec.service_account, delegates=spec.delegates, endpoint=endpoint)
    if isinstance(given.base, AccessToken):
        return target, given.base.token
    if given.base is not None:
        raise Denied("`from` names a credential that is not Google's: correct it", code="WrongBase")
    identity = google_adc.search(None)
    if identity.acts_as is None:
        return msgspec.structs.replace(target, billed=identity.billed), google_login.bearer(identity)
    first = Target.of(identity, spec.endpoint)
    between = google_iam.access_token(first, google_login.bearer(identity), (google_login.IAM,), HOUR, Facts())
    assert isinstance(between.value, AccessToken)
    return target, between.value.token


def _audience(spec: _Google, given: Given) -> str:
    if given.audience is None or given.audience not in spec.audiences:
        raise Denied(
            "ID tokens are minted for the configured `audiences` only: add it there", code="AudienceNotAllowed"
        )
    return given.audience


def _found_facts(spec: Adc, identity: Identity) -> Facts:
    """What a found identity is known to be; the environment counts before its file, as google-auth has it."""
    email = identity.acts_as.service_account if identity.acts_as else identity.email
    quota_project = spec.quota_project or identity.quota_project
    project = spec.project or os.environ.get("GOOGLE_CLOUD_PROJECT") or identity.project or quota_project
    return Facts(email=email, project=project or _project_of(email), quota_project=quota_project)


def _target_facts(spec: Impersonate) -> Facts:
    project = spec.project or spec.quota_project or _project_of(spec.service_account)
    return Facts(email=spec.service_account, project=project, quota_project=spec.quota_project)


def _project_of(email: str | None) -> str | None:
    """The project that a service account belongs to, where its e-mail says so."""
    found = _PROJECT_OF.fullmatch(email or "")
    return found[1] if found else None


SOURCES = (
    Source(
        name="gcp-adc",
        spec=Adc,
        mint=mint_adc,
        who=who_adc,
        id_token=id_token_adc,
        find=find_adc,
    ),
    Source(
        name="gcp-impersonate",
        spec=Impersonate,
        mint=mint_impersonate,
        who=who_impersonate,
        base=Kind.GOOGLE,
        id_token=id_token_impersonate,
    ),
)
