"""Application default credentials: where an identity stands and what its file says.

Searched as google-auth does: GOOGLE_APPLICATION_CREDENTIALS, gcloud's file, the instance's metadata server. What
google-auth drops from the files, the impersonation's URL and lifetime, is read here. Files are the operator's and are
trusted; nothing from them goes into a message but their own path.
"""

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import Any

import msgspec

from broker.errors import Denied, IdentityMissing, MintError
from broker.secret import Secret
from broker.sources.google_errors import LOG_IN, Refusal
from broker.sources.google_wire import METADATA_HOST, Line

LONGEST_FILE = 1 << 20  # bytes; the longest kind has about 4,000
LOOK_TIMEOUT = 0.9  # to connect to a metadata server that may not be there, and again for its answer
_PRODUCT_NAME = "/sys/class/dmi/id/product_name"  # says "Google Compute Engine" there
_FLAVOR = {"Metadata-Flavor": "Google"}
_IMPERSONATION = re.compile(
    r"(?P<endpoint>https?://[^/]+)/v1/projects/-/serviceAccounts/(?P<email>[^/:]+):generateAccessToken"
)


class ActsAs(msgspec.Struct, frozen=True, kw_only=True):
    """The service account that an identity file says to impersonate, and how."""

    service_account: str
    endpoint: str
    delegates: tuple[str, ...] = ()
    lifetime: int | None = None


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """An identity that was found. `text` is what google-auth loads; what it would then be impersonated as is apart."""

    type: str  # of what google-auth loads: an ADC file's type, or "gce"
    place: str
    text: Secret
    email: str | None = None
    project: str | None = None
    quota_project: str | None = None
    billed: str | None = None  # the quota project that the identity's own calls to an API are sent with
    acts_as: ActsAs | None = None
    token_uri: str | None = None  # where its tokens come from, if the file says so

    @property
    def words(self) -> str:
        """Which identity it is, for people."""
        if self.type == "gce":
            return self.place
        what = f"{self.type} {self.email}" if self.email else self.type
        return f"{what} from {self.place}" + (f", as {self.acts_as.service_account}" if self.acts_as else "")


class _Options(msgspec.Struct):
    token_lifetime_seconds: int | None = None


class _File(msgspec.Struct):
    """What is read of any ADC file; google-auth reads the rest."""

    type: str
    client_email: str | None = None
    account: str | None = None
    project_id: str | None = None
    quota_project_id: str | None = None
    token_uri: str | None = None
    token_url: str | None = None
    delegates: tuple[str, ...] | None = None
    source_credentials: dict[str, Any] | None = None
    credential_source: dict[str, Any] | None = None
    service_account_impersonation_url: str | None = None
    service_account_impersonation: _Options | None = None


def search(file: str | None) -> Identity:
    """The identity in `file`, or the one that the ADC search finds.

    Raises IdentityMissing if there is none or it cannot be read, Denied for a type that cannot be used here.
    """
    if file is not None:
        return _read(_expanded(file))
    if named := os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return _read(Path(named))
    if (gcloud := _gcloud_file()).is_file():
        return _read(gcloud)
    if _on_gce():
        return Identity(type="gce", place="the metadata server of this instance", text=Secret(""))
    raise IdentityMissing(
        f"no Google identity was found: GOOGLE_APPLICATION_CREDENTIALS is not set, {_shown(gcloud)} does not exist and "
        f"no metadata server answers: {LOG_IN}, or name a file with `file`",
        code="NoCredentials",
    )


def metadata_url(path: str) -> str:
    """A resource of this instance's metadata server, where google-auth looks for it."""
    environment = os.environ
    host = environment.get("GCE_METADATA_HOST") or environment.get("GCE_METADATA_ROOT") or METADATA_HOST
    return f"http://{host}/computeMetadata/v1/{path}"


def instance_project(line: Line) -> str | None:
    """The project of this instance, if its metadata server says so; a lease is good without."""
    with contextlib.suppress(MintError, Refusal):
        project = line(metadata_url("project/project-id"), headers=_FLAVOR).data.decode("utf-8", "replace")
        return project if re.fullmatch(r"[a-z0-9:.-]{1,100}", project) else None
    return None


def _read(path: Path) -> Identity:
    place = _shown(path)
    text = _text(path, place)
    try:
        file = msgspec.json.decode(text, type=_File)
        return _identity(place, file, text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise IdentityMissing(
            f"{place} is not a Google credentials file: create it anew", code="IdentityUnreadable"
        ) from None


def _identity(place: str, file: _File, text: bytes) -> Identity:
    quota_project = os.environ.get("GOOGLE_CLOUD_QUOTA_PROJECT") or file.quota_project_id
    found = Identity(
        type=file.type,
        place=place,
        text=Secret(text.decode()),
        email=file.client_email or file.account or None,
        project=file.project_id,
        quota_project=quota_project,
        billed=file.quota_project_id,
        token_uri=file.token_uri if file.type == "service_account" else file.token_url,
    )
    match file.type:
        case "authorized_user" | "service_account" | "external_account_authorized_user":
            return found
        case "external_account":
            _allow_executable(place, file)
            return _external_account(found, file)
        case "impersonated_service_account" if file.source_credentials is not None:
            source = msgspec.json.encode(file.source_credentials)
            under = _identity(place, msgspec.json.decode(source, type=_File), source)
            if under.acts_as is None and under.type != "external_account":  # google-auth takes no others
                return msgspec.structs.replace(
                    under, acts_as=_acts_as(place, file), quota_project=quota_project or under.quota_project
                )
        case "gdch_service_account":
            raise Denied(
                f"{place}: gdch_service_account works against Google Distributed Cloud only, whose tokens no other "
                "store takes: use another identity",
                code="UnsupportedIdentity",
            )
    raise IdentityMissing(f"{place} is of no type that can be used: create it anew", code="IdentityUnreadable")


def _external_account(found: Identity, file: _File) -> Identity:
    """The pool's identity alone, and apart from it the service account that it is to act as, if any."""
    if file.service_account_impersonation_url is None:
        return found
    members = msgspec.json.decode(found.text.open(), type=dict[str, Any])
    del members["service_account_impersonation_url"]
    alone = Secret(msgspec.json.encode(members).decode())
    return msgspec.structs.replace(found, text=alone, acts_as=_acts_as(found.place, file))


def _acts_as(place: str, file: _File) -> ActsAs:
    found = _IMPERSONATION.fullmatch(file.service_account_impersonation_url or "")
    if found is None:
        raise IdentityMissing(
            f"{place}: service_account_impersonation_url is not one of generateAccessToken", code="IdentityUnreadable"
        )
    options = file.service_account_impersonation or _Options()
    return ActsAs(
        service_account=found["email"],
        endpoint=found["endpoint"],
        delegates=file.delegates or (),
        lifetime=options.token_lifetime_seconds,
    )


def _allow_executable(place: str, file: _File) -> None:
    if "executable" not in (file.credential_source or {}):
        return
    if os.environ.get("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES") != "1":
        raise IdentityMissing(
            f"{place} runs a program for its subject token: set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 in the "
            "daemon's environment if you trust it",
            code="ExecutableNotAllowed",
        )


def _text(path: Path, place: str) -> bytes:
    """The whole file, unless it is none or absurdly long. Links are followed: Kubernetes mounts secrets as links."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe is not waited for
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise IsADirectoryError
            return file.read(LONGEST_FILE)
    except FileNotFoundError:
        advice, code = "does not exist: log in or correct the path", "IdentityNotFound"
    except PermissionError:
        advice, code = "may not be read by the minter's user: change its owner or mode", "IdentityUnreadable"
    except OSError:
        advice, code = "cannot be read: it is no regular file, or its disk fails", "IdentityUnreadable"
    raise IdentityMissing(f"{place} {advice}", code=code)


def _gcloud_file() -> Path:
    folder = os.environ.get("CLOUDSDK_CONFIG")
    return (Path(folder) if folder else _expanded("~/.config/gcloud")) / "application_default_credentials.json"


def _expanded(path: str) -> Path:
    """`~` as the home folder; as it is where there is none, as in a container with a uid of its own."""
    with contextlib.suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


def _shown(path: Path) -> str:
    """A path as its owner would type it."""
    home = _expanded("~")
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _on_gce() -> bool:
    """Whether this is an instance: its metadata server answers, or the firmware says so. Takes 2 s at most."""
    if os.environ.get("NO_GCE_CHECK", "").lower() == "true":
        return False
    address = os.environ.get("GCE_METADATA_IP") or "169.254.169.254"
    with contextlib.suppress(MintError, Refusal), Line(LOOK_TIMEOUT) as line:
        return bool(line(f"http://{address}", headers=_FLAVOR).headers.get("metadata-flavor") == "Google")
    with contextlib.suppress(OSError):
        return Path(_PRODUCT_NAME).read_text("utf-8").startswith("Google")
    return False
