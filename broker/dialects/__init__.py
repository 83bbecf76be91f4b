"""The one table of dialects. A new protocol is one file beside this one and its line here."""

from collections.abc import Mapping
from typing import Protocol

from broker.dialects import aws_container, azure, databricks, environment, gce_metadata, imds, token
from broker.errors import BrokerError
from broker.model import Lease, Want
from broker.wire import Reply, Request

Wish = Want | Reply | imds.NewToken | imds.RoleList


class Dialect(Protocol):
    """What a dialect's module offers: pure functions and two constants."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a module's constant
        """The label in metrics and audit."""

    @property
    def path_token_ok(self) -> bool:
        """Whether a token in the path opens it; only where clients have no header to carry one."""

    def parse(self, request: Request) -> Wish | None:
        """What is wanted, a reply that needs no lease, or None where there is no such path. Raises Refused.

        A path token is no longer in front of the path.
        """

    def render(self, request: Request, lease: Lease, left: float) -> Reply:
        """The lease as `parse` was asked for it; `left` is its life in seconds."""

    def refuse(self, error: BrokerError, request_id: str) -> Reply:
        """The error in the dialect's own shape."""


# By the first segment of the path.
DIALECTS: Mapping[str, Dialect] = {
    "": gce_metadata,
    "aws": aws_container,
    "azure": azure,
    "computeMetadata": gce_metadata,
    "databricks": databricks,
    "env": environment,
    "latest": imds,  # only if `imds = true`
    "token": token,
}
