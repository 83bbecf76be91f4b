"""The identity that boto3's chain finds on this machine, and whether it can be used. Asks STS nothing by itself.

botocore is imported inside functions only, so that specs can be read without it. A session is opened anew for each
mint: what `aws sso login` or a rotated file changed a moment ago counts at once.
"""

import contextlib
import functools
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from broker import __version__, clock
from broker.errors import IdentityMissing, MintError
from broker.model import AwsKeys, Facts, Minted
from broker.schedule import SERVE_FLOOR
from broker.secret import Secret
from broker.sources.aws_errors import Attempt

if TYPE_CHECKING:
    from botocore.loaders import Loader
    from botocore.session import Session

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0
DEFAULT_REGION = "us-east-1"
GLANCE_TIMEOUT = 1  # for each of two questions to a metadata server that may not be there; botocore takes whole seconds
INVENTED_LIFETIME = 360.0  # of a session whose owner does not tell its expiry
MFA_ADVICE = "use `credbroker exec`, which asks for it, or `credbroker refresh NAME`"
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)

# What botocore's providers call themselves, in the words of `check`.
_STORED = {
    "env": "the environment variables",
    "shared-credentials-file": "the profile {profile}",
    "config-file": "the profile {profile}",
}
_FETCHED = {
    "assume-role": "the role of the profile {profile}",
    "assume-role-with-web-identity": "the web identity role",
    "container-role": "the container's role",
    "custom-process": "the credential_process of the profile {profile}",
    "iam-role": "the instance's role",
    "login": "the console login of the profile {profile}",
    "sso": "the SSO session of the profile {profile}",
}


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that a call is signed with; without keys it goes unsigned. `place` says in words what they are."""

    place: str
    keys: AwsKeys | None = None
    profile: str | None = None
    expires_at: float | None = None
    account: str | None = None

    @property
    def temporary(self) -> bool:
        """Whether it is a session already, which STS accepts for fewer calls than a user's long-term keys."""
        return self.keys is not None and bool(self.keys.session_token)


class Local(msgspec.Struct, frozen=True):
    """A botocore session opened for one mint, and the region that the configuration or the profile names, if any."""

    session: "Session"
    region: str | None = None


def opened(
    profile: str | None, region: str | None = None, mfa_code: Secret | None = None, *, glance: bool = False
) -> Local:
    """A session whose calls are tried once, with short timeouts, at regional endpoints; shorter still at a glance.

    Raises IdentityMissing for a profile that does not exist.
    """
    from botocore.config import Config
    from botocore.session import Session

    logging.getLogger("botocore.credentials").setLevel(logging.CRITICAL)  # its warnings quote what upstream said
    session = Session(profile=profile)
    session.register_component("data_loader", _sdk_data())
    with looking(session, profile):
        session.set_default_client_config(
            Config(
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                retries={"total_max_attempts": 1, "mode": "standard"},
                user_agent_extra=f"credbroker/{__version__}",
            )
        )
        session.set_config_variable("sts_regional_endpoints", "regional")
        if glance:
            session.set_config_variable("metadata_service_timeout", GLANCE_TIMEOUT)
            session.set_config_variable("metadata_service_num_attempts", 1)
        session.get_scoped_config()  # names a missing profile now rather than in the middle of a call
        home = region or session.get_config_variable("region")
        session.set_config_variable("region", home or DEFAULT_REGION)  # a role profile without one could not be used
        # A role profile with an mfa_serial would read the terminal. botocore takes another prompt nowhere in public.
        role = session.get_component("credential_provider").get_provider("assume-role")
        role._prompter = _prompt(mfa_code)  # noqa: SLF001 - see above
    return Local(session, home)


def found(local: Local) -> Identity:
    """The identity that the chain finds. Raises IdentityMissing, or what a call of the chain itself ran into."""
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError

    with looking(local.session):
        credentials = local.session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        frozen = credentials.get_frozen_credentials()
        if not (frozen.access_key and frozen.secret_key):
            raise PartialCredentialsError(provider=credentials.method, cred_var="secret_key")
    # botocore tells the expiry nowhere in public; `aws configure export-credentials` reads this attribute too.
    expiry = getattr(credentials, "_expiry_time", None)
    account = getattr(frozen, "account_id", None)  # known for SSO, and where a profile has aws_account_id
    return Identity(
        place=_words(local.session, credentials.method, temporary=bool(frozen.token)),
        keys=AwsKeys(frozen.access_key, Secret(frozen.secret_key), Secret(frozen.token or "")),
        profile=local.session.profile,
        expires_at=expiry.timestamp() if isinstance(expiry, datetime) and expiry.tzinfo else None,
        account=account if isinstance(account, str) and _ACCOUNT.fullmatch(account) else None,
    )


def look(profile: str | None) -> str | None:
    """What the chain would find, in a few words, or None. Asks nobody but an instance's metadata server."""
    session = opened(profile, glance=True).session
    with looking(session):
        credentials = session.get_credentials()
        if credentials is None:
            return None
        # Only stored keys have their token at hand; asking others for theirs would fetch it.
        return _words(session, credentials.method, temporary=credentials.method in _STORED and bool(credentials.token))


def handed_on(identity: Identity, region: str | None) -> Minted:
    """The identity's own session as a lease. Raises IdentityMissing when it is as good as over."""
    assert identity.keys is not None
    now = clock.wall()
    lifetime = INVENTED_LIFETIME if identity.expires_at is None else identity.expires_at - now
    if lifetime < SERVE_FLOOR:
        advice = (
            "{place}: it has expired or is about to: its owner must renew it (`aws sso login{profile}`, or new keys)"
        )
        raise IdentityMissing(
            Attempt("hand it on", identity.place, identity.profile).words(advice), code="ExpiredToken"
        )
    note = f"handed on from {identity.place}"
    if identity.expires_at is None:
        note += "; its expiry is not known, 6 min are assumed"
    facts = Facts(account=identity.account, region=region, handed_on=True, note=note)
    return Minted(identity.keys, expires_at=now + lifetime, lifetime=lifetime, facts=facts)


@contextlib.contextmanager
def looking(session: "Session", profile: str | None = None) -> Iterator[None]:
    """Errors of botocore on the way to an identity become ours."""
    from botocore.exceptions import ClientError

    try:
        yield
    except MintError:
        raise
    except Exception as error:  # noqa: BLE001 - a credential_process may print what botocore does not expect
        name = profile or _profile_name(session)
        attempt = Attempt("use it", f"the profile {name}", None if name == "default" else name)
        if isinstance(error, ClientError):
            metadata = error.response.get("ResponseMetadata", {})
            code = str(error.response.get("Error", {}).get("Code", ""))
            raise attempt.refused(code, metadata.get("HTTPHeaders", {}), clock.wall()) from None
        ours = attempt.failed(error)
        if ours is None:
            advice = "{place}: what it gives is no usable identity: try `aws sts get-caller-identity{profile}`"
            ours = IdentityMissing(attempt.words(advice), code="IdentityUnusable")
        raise ours from None


@functools.cache
def _sdk_data() -> "Loader":
    """The service descriptions that come with botocore, parsed once: they are most of the cost of a fresh client."""
    from botocore.loaders import create_loader

    return create_loader()


def _prompt(mfa_code: Secret | None) -> object:
    """What botocore calls instead of asking the terminal."""

    def prompt(_: str) -> str:
        if mfa_code is None:
            raise IdentityMissing(f"the profile's role needs an MFA code: {MFA_ADVICE}", code="MfaRequired")
        return mfa_code.open()

    return prompt


def _profile_name(session: "Session") -> str:
    return session.profile or "default"


def _words(session: "Session", method: str, *, temporary: bool) -> str:
    """Which identity, and where it was found: a phrase for people."""
    if method in _STORED:
        kind = "a session" if temporary else "IAM user keys"
        return f"{kind} from {_STORED[method]}".format(profile=_profile_name(session))
    return _FETCHED.get(method, "keys that boto3 found").format(profile=_profile_name(session))
