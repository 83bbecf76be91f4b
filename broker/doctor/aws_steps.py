"""Steps that the chains of several AWS SDKs share. Pure.

Each SDK orders them in its own way, and leaves some out: that is what the tables beside this file say.
"""

from collections.abc import Callable

from broker.doctor.chain import FIREWALL, WRAP, Finds, Found, authority, unset
from broker.doctor.facts import Facts

RELATIVE_URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
FULL_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105 - the name of a variable
IMDS = ("169.254.169.254", "fd00:ec2::254")


def profile_name(facts: Facts) -> str:
    """The profile that an SDK uses which is told none."""
    return facts.value("AWS_PROFILE") or facts.value("AWS_DEFAULT_PROFILE") or "default"


def in_config(*needed: str) -> Finds:
    """The profile sets all of these keys, in the one file or the other."""

    def finds(facts: Facts) -> Found | None:
        name = profile_name(facts)
        files = [facts.aws_file(path) for path in (facts.config_path, facts.credentials_path)]
        if not set(needed) <= files[0].keys(name) | files[1].keys(name):
            return None
        path = next(file.path for file in files if needed[0] in file.keys(name))
        return Found(f"[{name}] in {path} sets {needed[0]}", WRAP)

    return finds


def keys_in(path: Callable[[Facts], str]) -> Finds:
    """The profile has static keys in that file."""

    def finds(facts: Facts) -> Found | None:
        name, file = profile_name(facts), facts.aws_file(path(facts))
        if "aws_access_key_id" not in file.keys(name):
            return None
        return Found(f"[{name}] in {file.path} has static keys", WRAP)

    return finds


def container(facts: Facts, *, needs_file: bool = False) -> Found | None:
    """The container endpoint, which is ours if it is at the worker plane. RELATIVE_URI wins over FULL_URI."""
    if facts.value(RELATIVE_URI):
        return Found(f"{RELATIVE_URI} is set: it wins over {FULL_URI}", unset(RELATIVE_URI))
    if FULL_URI not in facts.environ or (needs_file and not facts.value(TOKEN_FILE)):
        return None
    where = authority(facts.value(FULL_URI))
    if where in facts.planes:
        return Found(f"{FULL_URI} is the broker at {where}", broker=True)
    return Found(f"{FULL_URI} is at {where}, which is not the broker", WRAP)


def container_with_file(facts: Facts) -> Found | None:
    """As Rust's object_store has it, which knows the token only as a file."""
    return container(facts, needs_file=True)


def instance(facts: Facts) -> Found | None:
    """The instance's own role, unless AWS_EC2_METADATA_DISABLED."""
    if facts.value("AWS_EC2_METADATA_DISABLED").lower() == "true":
        return None
    return instance_whatever_is_said(facts)


def instance_whatever_is_said(facts: Facts) -> Found | None:
    """As those have it who know no AWS_EC2_METADATA_DISABLED."""
    for name in ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_METADATA_ENDPOINT"):
        if facts.value(name):
            return Found(f"{name} is set", unset(name))
    for address in IMDS:
        if address in facts.reachable:
            return Found(f"the instance metadata server answers at {address}", FIREWALL)
    return None
