"""What is looked at beside the clients."""

from pathlib import Path

import pytest

from broker.doctor.asking import Fetched
from broker.doctor.checks import clock, metadata, proxies, token_file
from tests.doctor.made import PLANE

PLANES = frozenset({PLANE})
PROXY = {"HTTP_PROXY": "http://proxy:3128"}


class TestProxies:
    @pytest.mark.parametrize(
        ("environ", "well"),
        [
            ({}, True),
            ({"HTTPS_PROXY": "http://proxy"}, True),
            (PROXY, False),
            (PROXY | {"NO_PROXY": "127.0.0.1,localhost"}, True),
            (PROXY | {"NO_PROXY": "*"}, True),
            (PROXY | {"NO_PROXY": "127.0.0.1", "no_proxy": "example.com"}, False),
            (PROXY | {"NO_PROXY": "example.com,127.0.0.10"}, False),
            ({"all_proxy": "socks5://x", "no_proxy": " 127.0.0.1 "}, True),
        ],
    )
    def test_each_spelling_must_exempt_the_broker(self, environ: dict[str, str], well: bool):
        """Clients read the one or the other."""
        assert proxies(environ, PLANES).ok is well

    def test_a_proxys_password_is_not_told(self):
        """It stands in the URL."""
        assert "hunter2" not in repr(proxies({"http_proxy": "http://me:hunter2@proxy"}, PLANES))


class TestTokenFile:
    def test_private_is_well_and_open_is_not(self, tmp_path: Path):
        """Whoever reads it is this worker."""
        path = tmp_path / "token"
        path.write_text("cbw_x")
        path.chmod(0o600)
        private = token_file({"CREDBROKER_WORKER_TOKEN_FILE": str(path)})
        path.chmod(0o640)
        opened = token_file({"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(path)})

        assert private is not None
        assert private.ok
        assert opened is not None
        assert opened.remedy == f"chmod 600 {path}"

    def test_one_that_is_gone_is_told(self, tmp_path: Path):
        """As in a shell whose `env` is over."""
        found = token_file({"CREDBROKER_WORKER_TOKEN_FILE": str(tmp_path / "gone")})

        assert found is not None
        assert not found.ok

    def test_no_variable_is_no_check(self):
        """A bare environment."""
        assert token_file({}) is None


class TestClock:
    def test_a_lease_that_is_over_when_given_is_the_clocks_fault(self):
        """The broker never hands one out."""
        found = clock({"aws": Fetched(identity=None, left=-60)})

        assert found is not None
        assert not found.ok

    def test_otherwise_it_agrees(self):
        """And without a lease nothing is known."""
        found = clock({"aws": Fetched(identity=None, left=60)})

        assert found is not None
        assert found.ok
        assert clock({}) is None


class TestMetadata:
    def test_reaching_it_fails_and_names_the_firewall(self):
        """Variables stop SDKs, not whoever asks by hand."""
        found = metadata(frozenset({"169.254.169.254"}))

        assert "firewall" in str(found.remedy)
        assert metadata(frozenset()).ok
