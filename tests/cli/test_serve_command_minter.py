"""The broker that one `exec` embeds, where the configuration has the minters in a service."""

from pathlib import Path

import pytest

from broker.cli.serve_command import prepare
from tests.daemons import PLAN, written


class TestPrepare:
    def test_it_mints_by_itself(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """It runs as the user, whom the service does not answer."""
        plan = {**PLAN, "daemon": PLAN["daemon"] + 'minter_socket = "{folder}/minter.sock"\n'}
        monkeypatch.setattr("os.environ", {"CREDBROKER_CONFIG": str(written(tmp_path, plan))})

        assert prepare(None, str(tmp_path)).config.daemon.minter_socket is None
        assert prepare(None, None).config.daemon.minter_socket == str(tmp_path / "minter.sock")
