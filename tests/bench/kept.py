"""A thousand sealed leases, as a daemon leaves them that was killed: what the next one holds before it answers."""

from pathlib import Path

from broker import vetting
from broker.clock import now, wall
from broker.model import AwsKeys, Facts, Lease
from broker.plan import Book, Rendered, make_book
from broker.secret import Secret
from broker.state import life, state_key
from broker.state.vault import Entry, Vault

ROLES = 1000
LIFETIME = 3600.0
_TOKEN = 800  # characters; about as long as STS makes them
_ROLE = """
[credentials.role{number}]
source = "aws-assume-role"
role_arn = "{{role}}"
session_name = "{{{{hostname}}}}-{{{{caller}}}}-{number}"
region = "eu-west-1"
endpoint_url = "{{sts}}"
"""


def credentials() -> dict[str, str]:
    """A thousand roles, each with a session of its own."""
    return {f"role{number}": _ROLE.format(number=number) for number in range(ROLES)}


def settings(folder: Path) -> str:
    """Where they are kept, and under which key, which is made here."""
    key = folder / "key"
    key.write_bytes(bytes(range(state_key.LENGTH)))
    key.chmod(0o600)
    return f'state_dir = "{folder}/state"\nstate_key = {{ file = "{key}" }}'


def seal(config: Path) -> None:
    """A lease of an hour for everything that this configuration mints at its start."""
    book = make_book(vetting.load(config)[0])
    vault = _vault(book)
    for serial, rendered in enumerate(book.warm(), 1):
        vault.write(_entry(rendered, serial), now(), wall())
    vault.tell(wall())
    vault.close()


def _vault(book: Book) -> Vault:
    daemon = book.config.daemon
    assert daemon.state_dir is not None
    assert daemon.runtime_dir is not None
    folder, seen = Path(daemon.state_dir), Path(daemon.runtime_dir) / "sealed"
    return Vault(folder, lambda: state_key.find(folder, daemon.state_key, {}), seen, life.here(now(), wall()))


def _entry(rendered: Rendered, serial: int) -> Entry:
    began, began_at = now(), wall()
    keys = AwsKeys(f"ASIA{serial:016}", Secret("s" * 40), Secret("t" * _TOKEN))
    facts = Facts(arn=f"arn:aws:sts::123456789012:assumed-role/train/{serial}")
    lease = Lease(keys, serial, began_at, began_at + LIFETIME, began, began + LIFETIME, facts)
    return Entry(
        cache_key=rendered.key,
        credential=rendered.label,
        facts=rendered.facts,
        audience=rendered.audience,
        lease=lease,
        ends_at=began_at + LIFETIME,
    )
