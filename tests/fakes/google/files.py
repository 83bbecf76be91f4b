"""The files that identities come in: every type of ADC file, as gcloud and the Cloud Console write it."""

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from tests.fakes.google.registry import Pool, ServiceAccount, User
from tests.fakes.google.server import FakeGoogle


def service_account(google: FakeGoogle, account: ServiceAccount, **more: object) -> dict[str, Any]:
    """A service account key."""
    return {
        "type": "service_account",
        "project_id": account.project,
        "private_key_id": account.key_id,
        "private_key": account.pem(),
        "client_email": account.email,
        "client_id": account.unique_id,
        "token_uri": f"{google.url}/token",
    } | more


def authorized_user(user: User, **more: object) -> dict[str, Any]:
    """What `gcloud auth application-default login` leaves. google-auth takes no token URL from it."""
    return {
        "type": "authorized_user",
        "client_id": user.client_id,
        "client_secret": user.client_secret,
        "refresh_token": user.refresh_token,
    } | more


def impersonated(google: FakeGoogle, source: dict[str, Any], target: str, **more: object) -> dict[str, Any]:
    """What `gcloud auth application-default login --impersonate-service-account` leaves."""
    return {
        "type": "impersonated_service_account",
        "source_credentials": source,
        "service_account_impersonation_url": impersonation_url(google, target),
        "delegates": [],
    } | more


def external(google: FakeGoogle, pool: Pool, source: dict[str, Any], **more: object) -> dict[str, Any]:
    """What `gcloud iam workload-identity-pools create-cred-config` writes; `source` says where subject tokens are."""
    return {
        "type": "external_account",
        "audience": pool.audience,
        "subject_token_type": pool.subject_token_type,
        "token_url": f"{google.url}/v1/token",
        "credential_source": source,
    } | more


def external_user(google: FakeGoogle, user: User) -> dict[str, Any]:
    """What `gcloud auth application-default login` leaves for a workforce identity."""
    return {
        "type": "external_account_authorized_user",
        "audience": "//iam.googleapis.com/locations/global/workforcePools/staff/providers/idp",
        "client_id": user.client_id,
        "client_secret": user.client_secret,
        "refresh_token": user.refresh_token,
        "token_url": f"{google.url}/v1/oauthtoken",
        "token_info_url": f"{google.url}/v1/introspect",
    }


def from_executable(folder: Path, subject_token: str) -> dict[str, Any]:
    """A credential source: a program that prints the subject token."""
    program = folder / "subject-token.py"
    answer = {
        "version": 1,
        "success": True,
        "token_type": "urn:ietf:params:oauth:token-type:jwt",
        "id_token": subject_token,
    }
    program.write_text(f"print({msgspec.json.encode(answer).decode()!r})\n")
    return {"executable": {"command": f"{sys.executable} {program}", "timeout_millis": 20_000}}


def impersonation_url(google: FakeGoogle, target: str) -> str:
    """As the files spell it."""
    return f"{google.url}/v1/projects/-/serviceAccounts/{target}:generateAccessToken"


def write(path: Path, members: dict[str, Any]) -> Path:
    """The file, private to its owner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(members))
    return path
