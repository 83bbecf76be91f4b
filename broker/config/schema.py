"""The JSON schema of the configuration file, for editors: the specs of the sources in a hand-written envelope.

It is looser than `read`, which also knows what lies between the tables.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from broker import variables
from broker.config import callers, daemon, durations, fields
from broker.config.credentials import COMMON, NAME, TYPES
from broker.config.shape import DaemonSettings, Limits
from broker.model import Spec
from broker.sources import TABLE, Source

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_REFERENCE = "#/$defs/{name}"
_NAMES = {"pattern": f"^{NAME.pattern}$"}
_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "array", "items": _TEXT}
_FLAG = {"type": "boolean"}
_ADDRESS = {"type": "string", "pattern": f"^(?:{daemon.ADDRESS.pattern})$"}
_ENV = {
    "type": "object",
    "propertyNames": {"pattern": f"^{variables.NAME.pattern}$"},
    "additionalProperties": {"type": "string"},
}
_COUNT = {"type": "integer", "minimum": 1}
_LOG_LEVEL = next(field.type for field in msgspec.structs.fields(DaemonSettings) if field.name == "log_level")


def schema(table: Mapping[str, Source] = TABLE) -> dict[str, Any]:
    """The schema, as JSON would give it back."""
    whole = _object(
        {
            "daemon": _daemon(),
            "credentials": _named({"$ref": "#/$defs/credential"}),
            "callers": _named({"$ref": "#/$defs/caller"}),
        }
    )
    definitions = {"caller": _caller(), "credential": _credential(table), **_specs(table)}
    described = {"$schema": DIALECT, "title": "The configuration of credbroker", **whole, "$defs": definitions}
    return msgspec.json.decode(msgspec.json.encode(described), type=dict[str, Any])


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _named(content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "propertyNames": _NAMES, "additionalProperties": content}


def _daemon() -> dict[str, Any]:
    paths = dict.fromkeys(("socket", "runtime_dir", "minter_socket", "audit_file", "state_dir", "include"), _TEXT)
    limits = _object({field.name: _COUNT for field in msgspec.structs.fields(Limits)})
    cluster = {"api_server": msgspec.json.schema(daemon.ApiServer), "token_file": _TEXT, "ca_file": _TEXT}
    listen = {"type": "array", "items": _ADDRESS, "minItems": 1, "uniqueItems": True}
    return _object(
        {
            "listen": listen,
            "admin": _ADDRESS,
            **paths,
            "state_key": _object({"file": _TEXT}, "file"),
            "log_level": msgspec.json.schema(_LOG_LEVEL),
            "operators": _TEXTS,
            "imds": _FLAG,
            "limits": limits,
            "kubernetes": _object(cluster),
        }
    )


def _caller() -> dict[str, Any]:
    uid = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": callers.LARGEST_UID}, _TEXT]}
    pods = _object({key: msgspec.json.schema(type_) for key, type_ in callers.PODS.items()}, *callers.PODS)
    either = {"uid": uid, "group": _TEXT, "kubernetes": pods}
    items = {**_object(either), "minProperties": 1, "maxProperties": 1}
    flags = dict.fromkeys(("worker_token", "allow_root", "bare"), _FLAG)
    any_of = {"type": "array", "items": items, "minItems": 1}
    rules = [{"required": [key]} for key in ("any", *either)]
    token = {"required": ["worker_token"], "properties": {"worker_token": {"const": True}}}
    content = _object({"any": any_of, **either, **flags, "grants": _TEXTS, "issuers": _TEXTS})
    return {**content, "oneOf": [*rules, token]}


def _credential(table: Mapping[str, Source]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["source"],
        "properties": {"source": {"enum": list(table)}},
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in table],
    }


def _specs(table: Mapping[str, Source]) -> dict[str, Any]:
    """A definition for each source, by its name; before them what the specs refer to."""
    common = {key: msgspec.json.schema(TYPES[key]) for key in COMMON}
    _, referred = msgspec.json.schema_components([source.spec for source in table.values()], ref_template=_REFERENCE)
    found: dict[str, Any] = {}
    for name, source in table.items():
        (reference,), parts = msgspec.json.schema_components([source.spec], ref_template=_REFERENCE)
        title = reference["$ref"].rpartition("/")[2]
        spec = parts[title]
        referred.pop(title, None)
        base = {"from": _TEXT} if source.base else {}
        needed = ("source", "from") if source.needs_base else ("source",)
        own = {**spec["properties"], **_durations(source.spec)}
        properties = {"source": {"const": name}, **common, "env": _ENV, **base, **own}
        found[name] = {**spec, **_object(properties, *needed, *spec["required"])}
    return {name: _without_null(content) for name, content in {**referred, **found}.items()}


def _durations(spec: type[Spec]) -> dict[str, Any]:
    """The duration fields, which may be text as well."""
    text = {"type": "string", "pattern": durations.PATTERN}
    return {
        field.encode_name: {"anyOf": [msgspec.json.schema(field.type), text]}
        for field in msgspec.structs.fields(spec)
        if fields.in_seconds(field.type)
    }


def _without_null(content: Any) -> Any:
    """TOML has no null: what may be absent is simply left out."""
    if isinstance(content, list):
        return [_without_null(item) for item in content]
    if not isinstance(content, dict):
        return content
    kept = {key: _without_null(item) for key, item in content.items() if (key, item) != ("default", None)}
    choices = [choice for choice in kept.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**{key: item for key, item in kept.items() if key != "anyOf"}, **choices[0]}
    return {**kept, "anyOf": choices} if choices else kept
