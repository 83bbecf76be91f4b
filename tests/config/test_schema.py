import importlib
import json
import tomllib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from broker import sources
from broker.config.callers import PODS
from broker.config.daemon import ApiServer
from broker.config.example import EXAMPLE
from broker.config.schema import schema
from broker.sources.source import END
from tests.config import toy
from tests.config.toy import TABLE

jsonschema: Any = importlib.import_module("jsonschema")  # it has no type information

HEAD = "[credentials.a]\nsource = 'aws-assume-role'\nrole_arn = 'arn:x'\n"


def accepts(text: str) -> bool:
    return bool(jsonschema.Draft202012Validator(schema(TABLE)).is_valid(tomllib.loads(text)))


def patterns(node: Any) -> Iterator[str]:
    """Every pattern of a schema."""
    if isinstance(node, dict):
        yield from ([node["pattern"]] if isinstance(node.get("pattern"), str) else [])
        yield from (one for child in node.values() for one in patterns(child))
    elif isinstance(node, list):
        yield from (one for child in node for one in patterns(child))


class TestPatterns:
    def test_none_lets_a_last_newline_through(self):
        """Python's $ alone does: a project of two lines would be two lines of an environment."""
        types = [ApiServer, *PODS.values(), *(source.spec for source in sources.TABLE.values())]
        found = set(patterns(list(msgspec.json.schema_components(types))))

        assert len(found) > 20
        assert [one for one in found if not one.endswith(END)] == []


class TestSchema:
    @pytest.mark.parametrize("table", [toy.TABLE, sources.TABLE], ids=["toy", "real"])
    def test_is_a_schema_of_the_dialect_that_it_names(self, table: Any):
        """And plain JSON."""
        made = schema(table)

        jsonschema.Draft202012Validator.check_schema(made)
        assert json.loads(json.dumps(made)) == made
        assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"

    def test_accepts_the_example(self):
        """With the real sources."""
        jsonschema.Draft202012Validator(schema()).validate(tomllib.loads(EXAMPLE))

    def test_names_every_key_of_every_source(self):
        """It is the list that the example refers to."""
        definitions = schema()["$defs"]

        for name, source in sources.TABLE.items():
            keys = {field.encode_name for field in msgspec.structs.fields(source.spec)}
            assert keys | {"source", "warm", "required", "on_denied", "share_identity", "env"} <= {
                *definitions[name]["properties"]
            }
            assert ("from" in definitions[name]["properties"]) == (source.base is not None)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            HEAD,
            f"{HEAD}duration = '45m'",
            f"{HEAD}duration = 900\nfrom = 'b'\nwarm = 'start'\n[credentials.b]\nsource = 'aws-session'",
            f"{HEAD}external_id = 'xx'\npolicy = {{ a = [1] }}",
            "[credentials.a]\nsource = 'gcp-adc'\nscopes = ['x']",
            "[callers.a]\nuid = 5\nworker_token = false",
            "[callers.a]\nworker_token = true",
            "[callers.a]\nany = [{ uid = 'alice' }, { group = 'g' }]\ngrants = []",
            "[callers.a]\nkubernetes = { namespace = 'a', service_account = 'b', audience = 'c' }",
            "[daemon.kubernetes]\napi_server = 'https://10.0.0.1:6443'\nca_file = '/ca.crt'",
            "[daemon]\nlisten = ['127.0.0.1:1', '[::1]:2']\nlog_level = 'debug'\nlimits = { connections = 1 }",
            "[daemon]\nimds = true",
            f"{HEAD}env = {{ S3_CANNED_ACL = 'private' }}",
        ],
    )
    def test_accepts_what_the_reader_accepts(self, text: str):
        """An editor that cries wolf is switched off."""
        assert toy.mistakes(text) == []
        assert accepts(text)

    @pytest.mark.parametrize(
        "text",
        [
            "demon = {}",
            "[daemon]\nimds = 'true'",
            "[daemon]\nlisten = ['localhost:1']",
            "[daemon.limits]\nconnections = 0",
            f"{HEAD}duration = 'soon'",
            f"{HEAD}duration = 1",
            f"{HEAD}duraton = 900",
            f"{HEAD}external_id = 'x'",
            "[credentials.a]\nsource = 'aws-assume-role'",
            "[credentials.a]\nsource = 'vault'",
            "[credentials.a]\nscopes = ['x']",
            "[credentials.a]\nsource = 'gcp-adc'\nfrom = 'b'",
            "[credentials.'a b']\nsource = 'gcp-adc'",
            "[callers.a]\ngrants = ['a']",
            "[callers.a]\nuid = 5\ngroup = 'g'",
            "[callers.a]\nuid = 5\nkubernetes = { namespace = 'a', service_account = 'b', audience = 'c' }",
            "[callers.a]\nkubernetes = { namespace = 'a', service_account = 'b' }",
            "[callers.a]\nkubernetes = { namespace = 'A', service_account = 'b', audience = 'c' }",
            "[daemon.kubernetes]\napi_server = 'http://10.0.0.1:6443'",
            "[callers.a]\nany = [{}]",
            f"{HEAD}env = {{ X = 1 }}",
            f"{HEAD}env = {{ '1X' = 'a' }}",
        ],
    )
    def test_refuses_what_the_reader_refuses(self, text: str):
        """As far as one table can tell."""
        assert toy.mistakes(text)
        assert not accepts(text)

    def test_says_nothing_of_null(self):
        """TOML has none."""
        assert "null" not in json.dumps(schema())
