"""What a worker starts with: of all that it is granted, the first of each kind that the command's options want."""

from typing import Any, NamedTuple, Self

import click
import msgspec

from broker import control_api as api
from broker.model import VALUES, Kind, Variables

CLOUDS = {
    "aws": Kind.AWS,
    "gcp": Kind.GOOGLE,
    "gcs-hmac": Kind.GCS_HMAC,
    "azure": Kind.AZURE,
    "azure-sas": Kind.AZURE_SAS,
    "databricks": Kind.DATABRICKS,
    "oci": Kind.OCI,
    "alipan": Kind.ALIPAN,
    "env": Kind.ENV,
}
# Held by no SDK that asks: these go into the environment itself.
OF_VARIABLES = frozenset(str(kind) for kind, value in VALUES.items() if value is Variables)


class Making(msgspec.Struct, frozen=True, kw_only=True):
    """How the environment is to be made, by the command's options."""

    caller: str | None = None
    use: tuple[str, ...] = ()
    without: frozenset[Kind] = frozenset()
    private_home: bool = False
    no_token_env: bool = False

    @classmethod
    def from_options(cls, use: str | None, without: str | None, **rest: Any) -> Self:
        """From the options as click gives them. Raises click's usage error."""
        clouds = _listed(without)
        unknown = [cloud for cloud in clouds if cloud not in CLOUDS]
        if unknown:
            raise click.BadParameter(f"{unknown[0]!r} is not a cloud: {', '.join(CLOUDS)}", param_hint="--without")
        return cls(use=_listed(use), without=frozenset(CLOUDS[cloud] for cloud in clouds), **rest)


class Firsts(NamedTuple):
    """The credentials that a worker starts with; of the clouds that SDKs ask for, the ones that plain SDKs get."""

    aws: api.Granted | None
    google: api.Granted | None
    azure: api.Granted | None = None
    databricks: api.Granted | None = None
    oci: api.Granted | None = None
    variables: tuple[api.Granted, ...] = ()
    left_out: tuple[api.Granted, ...] = ()  # clients would not look at both: a key that nobody reads is not even made

    @property
    def all(self) -> tuple[api.Granted, ...]:
        """Each of them."""
        clouds = (self.aws, self.google, self.azure, self.databricks, self.oci)
        return tuple(one for one in (*clouds, *self.variables) if one)


def firsts(worker: api.Worker, making: Making) -> Firsts:
    """The first of each kind that is wanted; of private-env every one, since each has names of its own."""
    wanted = [one for one in worker.granted if Kind(one.kind) not in making.without]
    found = {one.kind: one for one in wanted if one.first}
    variables = [one for one in wanted if one.kind in OF_VARIABLES and (one.first or one.kind == Kind.ENV)]
    left_out = [one for one in variables if one.kind == Kind.GCS_HMAC and Kind.GOOGLE in found]
    return Firsts(
        aws=found.get(Kind.AWS),
        google=found.get(Kind.GOOGLE),
        azure=found.get(Kind.AZURE),
        databricks=found.get(Kind.DATABRICKS),
        oci=found.get(Kind.OCI),
        variables=tuple(one for one in variables if one not in left_out),
        left_out=tuple(left_out),
    )


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
