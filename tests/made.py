"""Small builders of the frozen values that the heart works with: name what a test is about, the rest is ordinary."""

from typing import Any

from broker.config.shape import CallerEntry, Config, Credential, DaemonSettings, Rule
from broker.model import AccessToken, AwsKeys, Caller, CallerFacts, Facts, IdToken, Lease, Minted, Spec, Value
from broker.plan import Book, Rendered, make_book
from broker.secret import Secret
from broker.sources.aws_specs import AssumeRole, Session
from broker.sources.gcs_hmac import GcsHmac
from broker.sources.google import Adc
from tests.leaping import EPOCH, START

HOST = "node7"
GENERATION = "0123456789abcdef" * 4
TRAIN = "arn:aws:iam::123456789012:role/train"
SERVICE = "https://service.example"


def a_role(name: str = "train", base: str | None = None, **more: Any) -> Credential:
    """An `aws-assume-role` credential; keys of the credential and of its spec, as they stand in one table."""
    return _credential(name, "aws-assume-role", AssumeRole, base, {"role_arn": TRAIN, "session_name": "job", **more})


def a_session(name: str = "base", **more: Any) -> Credential:
    """An `aws-session` credential."""
    return _credential(name, "aws-session", Session, None, more)


def an_adc(name: str = "data", **more: Any) -> Credential:
    """A `gcp-adc` credential."""
    return _credential(name, "gcp-adc", Adc, None, more)


def an_hmac(name: str = "hmac", base: str | None = None, **more: Any) -> Credential:
    """A `gcs-hmac` credential: its keys are made for each job."""
    more = {"service_account": "hmac@my-project.iam.gserviceaccount.com", "dedicated": True, **more}
    return _credential(name, "gcs-hmac", GcsHmac, base, more)


def _credential(name: str, source: str, type_: type[Spec], base: str | None, keys: dict[str, Any]) -> Credential:
    own = {key: keys.pop(key) for key in ("warm", "required", "on_denied", "share_identity", "env") if key in keys}
    return Credential(name=name, source=source, spec=type_(**keys), base=base, **own)


def an_entry(name: str, *grants: str, **more: Any) -> CallerEntry:
    """A configured caller and its grants."""
    return CallerEntry(name=name, rules=(Rule(uid=1000),), grants=grants, **more)


def a_config(*parts: Credential | CallerEntry, generation: str = GENERATION) -> Config:
    """A configuration of credentials and callers; without any callers one, `trainer`, has everything."""
    credentials = tuple(part for part in parts if isinstance(part, Credential))
    callers = tuple(part for part in parts if isinstance(part, CallerEntry))
    everything = an_entry("trainer", *(credential.name for credential in credentials))
    return Config(
        daemon=DaemonSettings(), credentials=credentials, callers=callers or (everything,), generation=generation
    )


def a_book(*parts: Credential | CallerEntry, hostname: str = HOST) -> Book:
    """The Book of `a_config`."""
    return make_book(a_config(*parts), hostname)


def a_rendered(credential: Credential | None = None, **facts: Any) -> Rendered:
    """One credential as a caller gets it."""
    credential = credential or a_role()
    return a_book(credential).rendered(credential.name, CallerFacts(caller="trainer", **facts))


def a_caller(*names: str, uid: int | None = 1000, token_id: str | None = None, only: Any = None) -> Caller:
    """A process that matches these callers, `trainer` unless told."""
    matches = tuple(CallerFacts(caller=name, uid=str(uid), user="alice") for name in names or ("trainer",))
    return Caller(matches=matches, how="token" if token_id else "uid", uid=uid, token_id=token_id, only=only)


def keys(text: str = "1") -> AwsKeys:
    """AWS keys that can be told apart by one word."""
    return AwsKeys(f"ASIA{text}", Secret(f"secret {text}"), Secret(f"session {text}"))


def a_token(text: str = "1") -> AccessToken:
    """A Google token that can be told apart."""
    return AccessToken(Secret(f"ya29.{text}"), ("https://www.googleapis.com/auth/cloud-platform",))


def an_id_token(text: str = "1", audience: str = SERVICE) -> IdToken:
    """An ID token that can be told apart."""
    return IdToken(Secret(f"ey.{text}"), audience)


def a_minted(value: Value | None = None, lifetime: float = 3600.0, wall: float = EPOCH, **more: Any) -> Minted:
    """What a source brings home at `wall`."""
    return Minted(value or keys(), expires_at=wall + lifetime, lifetime=lifetime, **more)


def a_lease(value: Value | None = None, lifetime: float = 3600.0, serial: int = 1, **facts: Any) -> Lease:
    """A lease that began when the clocks started."""
    return Lease(value or keys(), serial, EPOCH, EPOCH + lifetime, START, START + lifetime, Facts(**facts))
