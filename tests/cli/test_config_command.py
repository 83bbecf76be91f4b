"""`credbroker config`: what a newcomer starts from."""

import json
from pathlib import Path

from tests.cli.newcomer import Newcomer


class TestExample:
    def test_it_can_be_read_back(self, nobody: Newcomer):
        """`config example > config.toml`, then `check --offline` finds nothing but this machine's lack of it."""
        path = Path(nobody.home, "config.toml")
        path.write_text(nobody.run("config", "example").out)
        path.chmod(0o600)
        ran = nobody.run("check", "--offline", "--config", str(path))

        assert (ran.status, "without a mistake" in ran.out) == (0, True)


class TestSchema:
    def test_it_is_json(self, nobody: Newcomer):
        """For an editor."""
        assert set(json.loads(nobody.run("config", "schema").out)["properties"]) == {"daemon", "credentials", "callers"}
