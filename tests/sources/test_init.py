"""The table of sources, as the configuration and the minter use it."""

import subprocess
import sys

import pytest

from broker.model import Kind, Spec
from broker.sources import TABLE, Source


class TestTable:
    @pytest.mark.parametrize("source", TABLE.values(), ids=lambda source: source.name)
    def test_every_source_is_whole(self, source: Source):
        """A spec that mints nothing by itself, or a name said twice, would only be found in production."""
        assert TABLE[source.name] is source
        assert issubclass(source.spec, Spec)
        assert source.spec.kind in set(Kind) - {Kind.GOOGLE_ID}

    def test_the_first_sources_are_there(self):
        """The contract names them."""
        assert {
            "aws-session",
            "aws-assume-role",
            "aws-web-identity",
            "aws-federation",
            "gcp-adc",
            "gcp-impersonate",
        } <= set(TABLE)

    def test_reading_specs_loads_no_sdk(self):
        """The daemon reads them; only minters pay for SDKs."""
        code = "import broker.sources, sys; print(*{name.split('.')[0] for name in sys.modules})"
        run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

        assert {"boto3", "botocore", "google", "requests", "urllib3"}.isdisjoint(run.stdout.split())
