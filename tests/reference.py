"""Writes docs/sources.md from the specs themselves: `python -m tests.reference > docs/sources.md`.

`tests/test_docs.py` holds that the file is what this writes, so that it cannot fall behind.
"""

import inspect
from typing import Any

import msgspec

from broker.config.durations import human
from broker.config.schema import schema
from broker.sources import TABLE

HEAD = """\
# Sources

What a `[credentials.NAME]` table may say for each `source`. Every credential may also say `warm`, `required`,
`on_denied`, `share_identity` and `env`: see [configuration.md](configuration.md). `from` names another credential to
mint from; [stores.md](stores.md) has an example for each store. This page is written from the code
(`python -m tests.reference`).
"""

LASTING = "\n\n**Not short-lived**: it is handed out as its owner made it; `check` and `status` say so too."


def page() -> str:
    """The whole page."""
    definitions = schema()["$defs"]
    return HEAD + "".join(_section(name, definitions[name]) for name in TABLE)


def _section(name: str, definition: dict[str, Any]) -> str:
    source = TABLE[name]
    about = (inspect.getdoc(source.spec) or "").split("\n\n")[0].replace("\n", " ")
    own = {field.encode_name: field for field in msgspec.structs.fields(source.spec)}
    rows = [
        f"| `{key}` | {_default(own[key])} | {_about(definition['properties'][key])} |"
        for key in definition["properties"]
        if key in own
    ]
    verb = "must" if source.needs_base else "may"
    chain = f"\n\n`from` {verb} name a credential of kind {source.base}." if source.base else ""
    lasting = "" if source.spec.short_lived else LASTING
    return (
        f"\n## {name}\n\n{about}{chain}{lasting}\n\n| key | default | meaning |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else None
    if isinstance(value, bool) or value is None or value in ((), {}):
        return "-"
    if isinstance(value, int):
        return f"`{human(value)}`"
    return f"`{', '.join(value) if isinstance(value, tuple) else value}`"


def _about(said: dict[str, Any]) -> str:
    texts = [said.get("description")] + [one.get("description") for one in said.get("anyOf", ())]
    limits = [_limits(one) for one in (said, *said.get("anyOf", ()))]
    found = [text for text in (*texts, *limits) if text]
    return "; ".join(dict.fromkeys(found)).replace("|", "\\|") or "-"


def _limits(said: dict[str, Any]) -> str | None:
    if "minimum" in said and "maximum" in said and said["minimum"] >= 60:
        return f"{human(said['minimum'])} to {human(said['maximum'])}"
    return None


if __name__ == "__main__":
    print(page(), end="")
