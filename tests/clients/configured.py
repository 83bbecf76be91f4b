"""Configurations for clients: whatever credentials, one caller, who is whoever runs the tests, and files of secrets."""

import os
from pathlib import Path

from tests.clients.stage import free_address

_CONFIG = """
[daemon]
listen = ["127.0.0.1:0"]
admin = "{admin}"
socket = "{folder}/broker.sock"
runtime_dir = "{folder}/run"
{daemon}
{credentials}
[callers.trainer]
uid = {uid}
allow_root = true
grants = [{grants}]
"""


GCS_HMAC = """
[credentials.admin]
source = "gcp-adc"
file = "{key_file}"

[credentials.hmac]
source = "gcs-hmac"
from = "admin"
service_account = "{account}"
dedicated = true
endpoint_url = "{url}"
"""


def configured(folder: Path, credentials: str, *grants: str, daemon: str = "") -> tuple[Path, str]:
    """The file, and the address at which its daemon tells whether it is ready; `daemon` is more of its settings."""
    folder.chmod(0o700)
    admin, config = free_address(), folder / "config.toml"
    granted = ", ".join(f'"{name}"' for name in grants)
    facts = {"admin": admin, "folder": folder, "uid": os.getuid(), "grants": granted, "daemon": daemon}
    config.write_text(_CONFIG.format(credentials=credentials, **facts))
    config.chmod(0o600)
    return config, admin


def kept(folder: Path, **secrets: str) -> None:
    """Files that nobody else may read, by their names less `.secret`."""
    for name, text in secrets.items():
        (path := folder / f"{name}.secret").touch(0o600)
        path.write_text(text)
