"""TOML documents that are nearly right, with canaries for secrets that stand in the wrong place."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from broker import sources

CANARY = "CANARY"
canaries = st.text(max_size=5).map(lambda text: f"{CANARY}{text}") | st.text(max_size=3).map(lambda text: text + CANARY)
URLS = ["https://x.example", "http://[", "http://10.0.0.1", "https://:x@[::1]:99999"]
TEXTS = [
    "45m",
    "1h",
    "12h",
    "root",
    "alice",
    "group:x",
    "{caller}",
    "${aws:x}",
    "start",
    "keep",
    "127.0.0.1:80",
    "a",
    "",
]
plausible = st.sampled_from([*TEXTS, *URLS])
scalars = (
    canaries
    | plausible
    | st.booleans()
    | st.integers()
    | st.floats(width=32)
    | st.dates()
    | st.datetimes(timezones=st.none())
    | st.times()
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["uid", "group", "a", "{x}"]), inner, max_size=3)
    ),
    max_leaves=6,
)
DAEMON = [
    "listen",
    "admin",
    "socket",
    "runtime_dir",
    "audit_file",
    "state_dir",
    "state_key",
    "log_level",
    "operators",
    "include",
    "limits",
    "imds",
    "kubernetes",
]
CALLER = ["any", "uid", "group", "worker_token", "grants", "issuers", "allow_root", "bare", "kubernetes", "uidd"]
COMMON = ["from", "warm", "required", "on_denied", "share_identity", "durration"]


NEEDED = {
    "role_arn": "arn:aws:iam::123456789012:role/x",
    "token_file": "/x",
    "service_account": "x@y.iam.gserviceaccount.com",
}


WRONG: tuple[Any, ...] = (
    *(*URLS, *TEXTS, CANARY, f"https://{CANARY}[", f"arn:aws:iam::1:{CANARY}", f"{CANARY}@x"),
    *(0, -1, 10**30, 1.5, True),
    *([], [CANARY], ["", "x"], [[CANARY]]),
    *({}, {"a": CANARY}, {"a": {"b": [f"{{{CANARY}}}"]}}, {"{x}": 1}),
)


def needed(source: sources.Source) -> dict[str, Any]:
    """What a credential of this source cannot do without."""
    keys = {field.encode_name for field in msgspec.structs.fields(source.spec)}
    return {"source": source.name, **{key: value for key, value in NEEDED.items() if key in keys}}


def credentials(source: sources.Source) -> st.SearchStrategy[dict[str, Any]]:
    """A credential that is nearly right: what is needed is there, and a few other keys."""
    keys = {field.encode_name for field in msgspec.structs.fields(source.spec)}
    return st.dictionaries(st.sampled_from([*COMMON, *sorted(keys)]), values, max_size=3).map(
        lambda given: {**needed(source), **given}
    )


def documents(table: dict[str, sources.Source]) -> st.SearchStrategy[dict[str, Any]]:
    """Documents that are nearly right, so that every rule is reached."""
    names = st.sampled_from(["a", "b", "c", "a b"])
    credential = st.one_of([credentials(source) for source in table.values()])
    caller = st.dictionaries(st.sampled_from(CALLER), values, max_size=5)
    return st.fixed_dictionaries(
        {},
        optional={
            "daemon": st.dictionaries(st.sampled_from(DAEMON), values, max_size=4) | values,
            "credentials": st.dictionaries(names, credential | values, max_size=3) | values,
            "callers": st.dictionaries(names, caller | values, max_size=3) | values,
            "demon": values,
        },
    )
