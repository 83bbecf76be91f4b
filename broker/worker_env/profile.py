"""The non-secret settings of a profile in `~/.aws/config`, to be carried over into a worker's own file. Pure.

The format is the one that the AWS SDKs share: sections, keys of any case, one level of nested blocks by indentation.
A file may be odd in any way: what cannot be read is left out, since an SDK would complain about it anyway.
"""

import re
import shlex
from collections.abc import Callable

import msgspec

Block = tuple[tuple[str, str], ...]

DEFAULT = "default"
# Settings of the AWS SDKs and tools reference guide, and of the AWS CLI, that hold no secret and find no credentials.
KEPT = frozenset(
    {
        *("account_id_endpoint_mode", "auth_scheme_preference", "ca_bundle", "cli_auto_prompt"),
        *("cli_binary_format", "cli_follow_urlparam", "cli_help_output", "cli_history", "cli_pager"),
        *("cli_timestamp_format", "defaults_mode", "disable_host_prefix_injection", "disable_request_compression"),
        *("endpoint_discovery_enabled", "endpoint_url", "ignore_configured_endpoint_urls", "max_attempts"),
        *("output", "parameter_validation", "region", "request_checksum_calculation"),
        *("request_min_compression_size_bytes", "response_checksum_validation", "retry_mode"),
        *("s3_disable_express_session_auth", "s3_disable_multiregion_access_points", "s3_use_arn_region"),
        *("s3_us_east_1_regional_endpoint", "sdk_ua_app_id", "services", "sigv4a_signing_region_set"),
        *("sts_regional_endpoints", "tcp_keepalive", "use_dualstack_endpoint", "use_fips_endpoint"),
    }
)
KEPT_BLOCKS = frozenset({"s3", "s3api", "api_versions"})
KEPT_OF_SERVICES = frozenset({"endpoint_url"})

_HEADER = re.compile(r"\[\s*(?P<name>[^\]]+?)\s*\]")
_SETTING = re.compile(r"(?P<key>[^=:]+)[=:](?P<value>.*)")
_COMMENT = re.compile(r"\s+[#;].*")


class Settings(msgspec.Struct, frozen=True):
    """What is kept of a profile: plain settings, nested blocks, and the blocks of the `services` section it names."""

    values: Block = ()
    blocks: tuple[tuple[str, Block], ...] = ()
    services: tuple[tuple[str, Block], ...] = ()

    def value(self, key: str) -> str | None:
        """One plain setting."""
        return dict(self.values).get(key)


class _Section(msgspec.Struct):
    values: dict[str, str] = msgspec.field(default_factory=dict)
    blocks: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)


def profile_settings(text: str, profile: str | None = None) -> Settings:
    """The settings that a worker may know of a profile; nothing where there is no such profile."""
    sections = _sections(text)
    section = sections.get(("profile", profile or DEFAULT))
    if section is None:
        return Settings()
    empty = {key: "" for key, block in section.blocks.items() if not block}  # `cli_pager =` turns the pager off
    values = {key: value for key, value in (empty | section.values).items() if key in KEPT}
    services = sections.get(("services", values.get("services", "")))
    if services is None:
        values.pop("services", None)  # botocore refuses a profile that names a section which is not there
    return Settings(
        values=tuple(values.items()),
        blocks=_blocks(section, lambda name, _: name in KEPT_BLOCKS),
        services=_blocks(services, lambda _, key: key in KEPT_OF_SERVICES) if services else (),
    )


def _blocks(section: _Section, keep: Callable[[str, str], bool]) -> tuple[tuple[str, Block], ...]:
    kept = (
        (name, tuple((key, value) for key, value in block.items() if keep(name, key)))
        for name, block in section.blocks.items()
    )
    return tuple((name, block) for name, block in kept if block)


def _sections(text: str) -> dict[tuple[str, str], _Section]:
    """Every section by its kind and name, merged where a name comes twice."""
    sections: dict[tuple[str, str], _Section] = {}
    section, block = _Section(), None
    for line in text.removeprefix("\ufeff").splitlines():
        bare = line.strip()
        if not bare or bare[0] in "#;":
            continue
        if header := _HEADER.match(bare):
            section, block = sections.setdefault(_name(header["name"]), _Section()), None
        elif setting := _SETTING.fullmatch(bare):
            key, value = setting["key"].strip(), _COMMENT.sub("", setting["value"]).strip()
            if line[0].isspace() and block is not None:
                block[key] = value
            elif not line[0].isspace():
                block = _set(section, key.lower(), value)
    return sections


def _set(section: _Section, key: str, value: str) -> dict[str, str] | None:
    """Set a key; what an indented line below it adds to, if it opens a block."""
    if value:
        section.values[key] = value
        return None
    return section.blocks.setdefault(key, {})


def _name(header: str) -> tuple[str, str]:
    """`[default]`, `[profile NAME]` and `[services NAME]`, the name quoted where it has to be."""
    try:
        words = shlex.split(header)
    except ValueError:
        words = header.split()
    match words:
        case [kind, name]:
            return kind, name
        case [name] if name == DEFAULT:
            return "profile", name
    return "", header
