"""What `serve` says of IMDS when it starts."""

from types import SimpleNamespace
from typing import Any

from broker.cli import serve_command
from broker.daemon import NO_IMDS
from broker.server.clerk import Facts


def greeting(**facts: Any) -> str:
    """The words of a daemon with these facts."""
    daemon: Any = SimpleNamespace(facts=Facts(listen=("127.0.0.1:9911",), **facts), socket_path="/run/broker.sock")
    return serve_command._greeting(daemon)


class TestGreeting:
    def test_where_it_is_on_it_says_how_a_client_is_pointed_to_it(self):
        """`exec` and `env` do not."""
        assert "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:9911" in greeting(imds="on")

    def test_where_it_is_configured_in_vain_it_says_so_loudly(self):
        """Its clients would find nothing, and nobody would know why."""
        assert "IMDS IS OFF: imds = true has no effect" in greeting(attestation="a user namespace", imds=NO_IMDS)

    def test_where_nobody_asked_for_it_nothing_is_said(self):
        """Most need it not."""
        assert "imds" not in greeting().lower()
