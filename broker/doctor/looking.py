"""Looks at what a worker's clients will read: files, installed distributions, commands. Changes nothing.

Of files in sections (AWS, Databricks, rclone) only their names and keys are kept, and rclone's `type` and `env_auth`.
"""

import configparser
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from broker.doctor.facts import ADC_NAME, AwsFile, Facts, Profile, Remote
from broker.worker_env.oci import KEY, TOKEN

PATIENCE = 20.0  # seconds for a worker's interpreter to list what it has
COMMANDS = ("aws", "az", "gcloud", "rclone", "duckdb")
_LONGEST = 4 << 20
# The worker's own interpreter runs this: any Python from 3.8 on. What lies in the current folder is none of it.
_LIST = (
    "import sys; sys.path[:] = [place for place in sys.path if place]; import importlib.metadata, json; "
    "print(json.dumps([one.metadata['Name'] for one in importlib.metadata.distributions()]))"
)


def look(environ: Mapping[str, str], home: str, python: str | None) -> Facts:
    """The facts that stand on disk; what is reached and fetched is added by who asks."""
    facts = Facts(environ=dict(environ), home=home)
    aws = [facts.config_path, facts.credentials_path, facts.under_home(".aws/credentials"), "/etc/boto.cfg"]
    others = [facts.expanded(environ.get("BOTO_CONFIG") or "~/.boto"), facts.databricks_path]
    return msgspec.structs.replace(
        facts,
        aws_files=tuple(found for path in dict.fromkeys(aws + others) if (found := aws_file(path))),
        files=frozenset(path for path in _whole_files(facts) if Path(path).exists()),
        remotes=remotes(rclone_path(facts)),
        commands=frozenset(name for name in COMMANDS if shutil.which(name, path=environ.get("PATH"))),
        distributions=distributions(python, environ) if python else frozenset(),
    )


def aws_file(path: str) -> AwsFile | None:
    """The names in an AWS file; None where there is none, or nothing in it can be read by this user."""
    text = _text(path)
    if text is None:
        return None
    try:
        parsed = _parsed(text)
    except configparser.Error:
        return AwsFile(path, broken=True)
    named = ((section, frozenset(parsed[section])) for section in parsed.sections())
    return AwsFile(path, tuple(Profile(_profile(section), keys) for section, keys in named))


def rclone_path(facts: Facts) -> str:
    """Where rclone looks for its configuration."""
    base = facts.value("XDG_CONFIG_HOME") or facts.under_home(".config")
    old = facts.under_home(".rclone.conf")
    default = f"{base}/rclone/rclone.conf"
    return facts.value("RCLONE_CONFIG") or (old if Path(old).exists() and not Path(default).exists() else default)


def remotes(path: str) -> tuple[Remote, ...]:
    """The remotes of rclone; none where its file is absent or encrypted."""
    text = _text(path)
    try:
        parsed = _parsed(text or "")
    except configparser.Error:
        return ()
    found = ((name, parsed[name]) for name in parsed.sections())
    return tuple(
        Remote(name, one.get("type") or "", (one.get("env_auth") or "").lower() == "true", frozenset(one))
        for name, one in found
    )


def distributions(python: str, environ: Mapping[str, str]) -> frozenset[str]:
    """What an interpreter has installed, by normalized name; nothing where it cannot say."""
    try:
        ran = subprocess.run(  # noqa: S603 - the worker's own interpreter, as the worker runs it
            [python, "-c", _LIST],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        names = json.loads(ran.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return frozenset()
    return frozenset(name.lower().replace("_", "-").replace(".", "-") for name in names if isinstance(name, str))


def _whole_files(facts: Facts) -> list[str]:
    named = [facts.value(name) for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_GCLOUD_ADC_PATH_OVERRIDE")]
    gcloud = [f"{facts.gcloud_folder}/{name}" for name in (ADC_NAME, "credentials.db", "access_tokens.db")]
    logins = Path(facts.under_home(".aws/sso/cache")).glob("*.json")
    oracle = [facts.under_home(place) for place in (".oci/config", ".oraclebmc/config")]
    oracle += [facts.expanded(facts.value(name)) for name in ("OCI_CONFIG_FILE", "OCIFS_CONFIG_LOCATION")]
    oracle += [place for name in (TOKEN, KEY) if (place := facts.value(name)).startswith("/")]  # else the secret itself
    found = (*named, *gcloud, facts.home_adc, *map(str, logins), facts.azure_profile, *oracle)
    return [path for path in found if path]


def _profile(section: str) -> str:
    return section.removeprefix("profile ").strip().strip("\"'")


def _parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(default_section="", strict=False, allow_no_value=True)
    parser.read_string(text)
    return parser


def _text(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return file.read(_LONGEST).decode(errors="replace")
    except OSError:
        return None
