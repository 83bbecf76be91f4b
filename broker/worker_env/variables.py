"""Secrets that clients read from the environment itself, once, at their start. Pure."""

from collections.abc import Iterable, Iterator

import msgspec

from broker.model import Kind, Settings
from broker.secret import Secret
from broker.worker_env.environment import Environment

# What clients of a kind read together: a part of the user's own beside a part of the broker's would be neither.
READ_TOGETHER: dict[str, tuple[str, ...]] = {
    # A key, a connection string or another SAS would be taken before this one.
    Kind.AZURE_SAS: (
        *("AZURE_ACCOUNT_ACCESS_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_ANON"),
        *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_CLIENT_ID"),
        *("AZURE_STORAGE_CLIENT_SECRET", "AZURE_STORAGE_TENANT_ID", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY"),
        "AZURE_STORAGE_TOKEN",
    ),
    Kind.ALIPAN: ("ALIPAN_WEB_REFRESH_TOKEN", "ALIPAN_ENCRYPT_PASSWORD", "ALIPAN_ENCRYPT_TYPE"),
    Kind.GCS_HMAC: ("GCS_KEY", "GCS_SECRET"),
}


class VariablesGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A credential of variables, held now, and the plain ones that travel with it."""

    name: str
    kind: str
    values: tuple[tuple[str, Secret], ...]
    settings: Settings = ()


def variables_environment(grant: VariablesGrant) -> Environment:
    """Its part of a worker's environment."""
    given = {name for name, _ in grant.values}
    return Environment(
        set=grant.values, unset=tuple(name for name in READ_TOGETHER.get(grant.kind, ()) if name not in given)
    )


def fitting(grants: Iterable[VariablesGrant], others: Iterable[Environment]) -> Iterator[VariablesGrant]:
    """Those that meet no variable of the other parts, nor of one before them.

    Half of a credential beside half of another would be neither: one that does not fit is left out whole.
    """
    taken = {name for other in others for name in other.names()}
    for grant in grants:
        names = {name for name, _ in grant.values}
        if taken.isdisjoint(names):
            taken |= names
            yield grant
