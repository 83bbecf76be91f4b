"""Oracle's SDK and ocifs: a resource principal by two files, or a config file. Pure.

The SDK itself has no chain: a program asks for the one or for the other. What the environment has of a resource
principal is looked at first, since a worker that was given one finds nothing of ours in the other place.
"""

from pathlib import PurePosixPath

from broker.doctor.chain import WRAP, Chain, Found, Step, unset
from broker.doctor.facts import Facts
from broker.doctor.object_store import HIDE
from broker.worker_env.oci import KEY, TOKEN, VERSION

FILE_VERSION = "2.2"  # the one whose token and key are files, read anew
_TYPE = "OCIFS_IAM_TYPE"
_CONFIG, _OCIFS_CONFIG = "OCI_CONFIG_FILE", "OCIFS_CONFIG_LOCATION"


def resource_principal(facts: Facts) -> Found | None:
    """What `get_resource_principals_signer` makes of the environment; ours are files in the worker's own folder."""
    version = facts.value(VERSION)
    if not version:
        return None
    if version != FILE_VERSION:
        return Found(f"{VERSION} is {version}, another kind of resource principal", unset(VERSION))
    for name in (TOKEN, KEY):
        if not facts.value(name):
            return Found(f"{VERSION} is set, and {name} is not: it fails", WRAP)
        if not _is_ours(facts, facts.value(name)):
            return Found(f"{name} is none of the broker's files", WRAP)
        if facts.value(name) not in facts.files:
            return Found(f"{name} is a file of the broker's that is not there: it fails", "take a new environment")
    return Found(f"{TOKEN} is the broker's file", broker=True)


def config_file(facts: Facts) -> Found | None:
    """What `oci.config.from_file()` reads: ~/.oci/config before OCI_CONFIG_FILE, whatever that says."""
    own = facts.under_home(".oci/config")
    if own in facts.files:
        return Found(f"{own} is there", HIDE)
    if facts.value(_CONFIG):
        return _config(facts, _CONFIG)
    old = facts.under_home(".oraclebmc/config")
    return Found(f"{old} is there", HIDE) if old in facts.files else None


def told_api_key(facts: Facts) -> Found | None:
    """Where ocifs is told to use a config file: its own variable first."""
    if facts.value(_TYPE) != "api_key":
        return None
    return _config(facts, _OCIFS_CONFIG) if facts.value(_OCIFS_CONFIG) else config_file(facts)


def told_otherwise(facts: Facts) -> Found | None:
    """Where ocifs is told to use what is neither."""
    if facts.value(_TYPE) in {"", "api_key", "resource_principal"}:
        return None
    return Found(f"{_TYPE} is {facts.value(_TYPE)}", unset(_TYPE))


def _config(facts: Facts, name: str) -> Found:
    path = facts.expanded(facts.value(name))
    if not _is_ours(facts, path):
        return Found(f"{name} is none of the broker's files", WRAP)
    if path not in facts.files:
        return Found(f"{name} is a file of the broker's that is not there: it fails", "take a new environment")
    return Found(f"{name} is the broker's file", broker=True)


def _is_ours(facts: Facts, path: str) -> bool:
    folder = facts.worker_folder
    return folder is not None and PurePosixPath(folder) in PurePosixPath(path).parents


SDK: Chain = (Step("resource principal", resource_principal), Step("config file", config_file))
OCIFS: Chain = (
    Step("iam type", told_otherwise),
    Step("config file", told_api_key),
    Step("resource principal", resource_principal),
)
