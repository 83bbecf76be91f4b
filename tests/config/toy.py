"""A table of sources that mint nothing, users that exist nowhere, and TOML written from Python values."""

import json
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from broker.config.read import parse
from broker.config.shape import Config, Snapshot
from broker.errors import ConfigError
from broker.model import Facts, Given, Kind, Minted, Spec, Value
from broker.sources import Source

MAIN = "/etc/credbroker/config.toml"
USERS = {"root": 0, "alice": 1000, "trainer": 1001}
Duration = Annotated[int, Meta(ge=900, le=43_200, extra={"unit": "seconds"})]


class Session(Spec, frozen=True):
    """What may be handed on."""

    kind: ClassVar[Kind] = Kind.AWS
    profile: str | None = None
    duration: Duration = 43_200


class Role(Spec, frozen=True):
    """Every shape of field that sources have."""

    kind: ClassVar[Kind] = Kind.AWS
    role_arn: Annotated[str, Meta(examples=["arn:aws:iam::123456789012:role/train"], pattern="^arn:")]
    duration: Annotated[Duration | None, Meta(description="how long it lives")] = 3600
    session_name: str = "{hostname}-{caller}"
    external_id: Annotated[str, Meta(min_length=2, max_length=8)] | None = None
    policy: dict[str, Any] | None = None
    tags: Annotated[dict[str, str], Meta(max_length=2)] = {}  # noqa: RUF012 - msgspec copies a default that is empty
    regions: Annotated[tuple[Annotated[str, Meta(pattern="^[a-z0-9-]+$")], ...], Meta(max_length=3)] = ()
    weight: float | None = None
    key_file: Annotated[str, Meta(extra={"unit": "path"})] | None = None

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """One rule between two fields."""
        return (("tags", "are not for a role with an external_id"),) if self.tags and self.external_id else ()


class Adc(Spec, frozen=True):
    """Another cloud."""

    kind: ClassVar[Kind] = Kind.GOOGLE
    scopes: tuple[str, ...] = ("cloud-platform",)


def mint(spec: Spec, given: Given) -> Minted:
    """Nothing is minted while a configuration is read."""
    raise AssertionError(spec, given)


def who(spec: Spec, value: Value) -> Facts:
    """Nor is anybody asked."""
    raise AssertionError(spec, value)


TABLE = {
    source.name: source
    for source in (
        Source(name="aws-session", spec=Session, mint=mint, who=who),
        Source(name="aws-assume-role", spec=Role, mint=mint, who=who, base=Kind.AWS),
        Source(name="aws-web-identity", spec=Session, mint=mint, who=who),
        Source(name="gcp-adc", spec=Adc, mint=mint, who=who),
        Source(name="azure-sas", spec=Session, mint=mint, who=who, base=Kind.AWS, needs_base=True),
        Source(name="gcp-impersonate", spec=Adc, mint=mint, who=who, base=Kind.GOOGLE),
    )
}


def config(main: str, **included: str) -> Config:
    """What a main file and its included ones say. Raises ConfigError."""
    others = ((f"/etc/credbroker/conf.d/{name}.toml", text.encode()) for name, text in included.items())
    return parse(Snapshot(((MAIN, main.encode()), *others)), table=TABLE, uids=USERS.get)


def mistakes(main: str, **included: str) -> list[str]:
    """Every mistake in them, as people read it, less the folder."""
    try:
        config(main, **included)
    except ConfigError as error:
        return [str(mistake).replace("/etc/credbroker/", "") for mistake in error.mistakes]
    return []


def toml(value: Any) -> str:
    """A value as TOML writes it on one line."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return f"{{{', '.join(f'{toml(str(key))} = {toml(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)
