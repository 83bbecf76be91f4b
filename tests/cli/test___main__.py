"""The command as a module, which is how it starts itself."""

import subprocess
import sys

from broker import __version__


class TestModule:
    def test_it_is_the_command(self):
        """An absolute path to the interpreter is all that `exec` and `credential_process` need."""
        run = [sys.executable, "-P", "-m", "broker.cli", "--version"]

        assert (
            subprocess.run(run, capture_output=True, text=True, check=True).stdout
            == f"credbroker, version {__version__}\n"
        )
