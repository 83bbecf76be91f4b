"""aiohttp as the daemon loads it, in a process of its own: what is loaded here was loaded for the tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.fakes.authority import Authority

TRUSTED = """
import gc, json, os, ssl
import broker.daemon
contexts = [one for one in gc.get_objects() if isinstance(one, ssl.SSLContext)]
from broker.server.web import web
print(json.dumps([
    [one.cert_store_stats()["x509"] for one in (*contexts, ssl.create_default_context())],
    {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")},
    web.__name__,
]))
"""


class TestWeb:
    def test_no_root_certificate_is_read_for_it_and_minters_still_find_theirs(self, tmp_path: Path):
        """The last context is made afterwards, as a minter makes one: it has the authority that is configured."""
        file = tmp_path / "ca.pem"
        file.write_bytes(Authority("ours").pem)
        environment = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(file)}
        done = subprocess.run(
            [sys.executable, "-P", "-c", TRUSTED], env=environment, stdout=subprocess.PIPE, check=True, timeout=30
        )
        (*loaded, ours), variables, name = json.loads(done.stdout)

        assert loaded
        assert not any(loaded)
        assert ours == 1
        assert variables == {"SSL_CERT_FILE": str(file), "SSL_CERT_DIR": None}
        assert name == "aiohttp.web"
