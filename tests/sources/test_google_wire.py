import gzip
import socket
from pathlib import Path

import pytest

from broker.errors import Denied, Malformed, Throttled, Unreachable
from broker.sources import google_wire
from broker.sources.google_errors import Refusal
from broker.sources.google_wire import Line
from tests.fakes.google import FakeGoogle, Fault

pytest_plugins = ["tests.fakes.google.fixtures"]
pytestmark = pytest.mark.usefixtures("alone")


def ask(google: FakeGoogle, method: str = "GET") -> Line:
    with Line() as line:
        line(f"{google.url}/oauth2/v3/certs", method)
    return line


class TestLine:
    def test_a_good_answer_is_kept_with_its_time(self, google: FakeGoogle):
        """Lifetimes are compared with upstream's Date, and the difference is the skew."""
        google.ahead = 600.0

        (heard,) = ask(google).heard

        assert '"keys"' in heard.text.open()
        assert heard.method == "GET"
        assert heard.skew is not None
        assert -601.0 < heard.skew < -598.0
        assert heard.now == heard.date

    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
    def test_a_failing_server_is_asked_once(self, google: FakeGoogle, status: int):
        """google-auth would ask five times by itself; the broker owns retries."""
        google.fail("certs", Fault(status=status, fields=(("Retry-After", "7"),)))

        with pytest.raises(Unreachable) as caught:
            ask(google)

        assert google.calls["certs"] == 1
        assert caught.value.retry_after == 7.0

    def test_patience_is_passed_on(self, google: FakeGoogle):
        """429 says how long."""
        google.fail("certs", Fault(status=429, fields=(("Retry-After", "90"),)))

        with pytest.raises(Throttled) as caught:
            ask(google)

        assert caught.value.retry_after == 90.0

    def test_a_refusal_keeps_its_word_and_nothing_else(self, google: FakeGoogle):
        """The description may quote what was sent."""
        body = b'{"error": "invalid_grant", "error_description": "token canary-secret is bad"}'
        google.fail("certs", Fault(status=400, body=body))

        with pytest.raises(Refusal) as caught:
            ask(google, "POST")

        assert (caught.value.status, caught.value.word, caught.value.exchange) == (400, "invalid_grant", True)
        assert "canary" not in str(caught.value)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, google: FakeGoogle, status: int):
        """It would carry a credential wherever upstream says."""
        google.fail("certs", Fault(status=status, fields=(("Location", f"{google.url}/elsewhere"),)))

        with pytest.raises(Malformed):
            ask(google)

        assert google.calls["unknown"] == 0

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            (b"x" * (1 << 20), ()),
            (gzip.compress(b"x" * (1 << 24)), (("Content-Encoding", "gzip"),)),
        ],
    )
    def test_a_long_answer_is_not_read_to_its_end(
        self, google: FakeGoogle, body: bytes, fields: tuple[tuple[str, str], ...]
    ):
        """Neither a long one nor a short one that unpacks to a long one."""
        google.fail("certs", Fault(status=200, body=body, fields=fields))

        with pytest.raises(Malformed):
            ask(google)

    def test_nobody_listening_is_unreachable(self):
        """A refused connection says which host, so that the reader knows what to look at."""
        with socket.socket() as unheard:
            unheard.bind(("127.0.0.1", 0))
            port = unheard.getsockname()[1]
            with Line() as line, pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
                line(f"http://127.0.0.1:{port}/token")

    def test_silence_is_unreachable(self, google: FakeGoogle):
        """Accepts and never answers: the wait is bounded even before the mint's own deadline."""
        google.fail("certs", Fault(delay=30.0))

        with Line(0.2) as line, pytest.raises(Unreachable):
            line(f"{google.url}/oauth2/v3/certs", timeout=120)

    def test_a_connection_that_breaks_off_is_unreachable(self, google: FakeGoogle):
        """Half an answer is none."""
        google.fail("certs", Fault(status=200, body=b"{", fields=(("Content-Length", "100"),)))

        with Line(0.2) as line, pytest.raises(Unreachable):
            line(f"{google.url}/oauth2/v3/certs")

    @pytest.mark.parametrize(
        "url", ["http://oauth2.googleapis.com/token", "ftp://127.0.0.1/", "token", "http://", "http://["]
    )
    def test_a_secret_is_not_sent_in_the_clear(self, url: str):
        """Plain http is for this machine and its metadata server."""
        with Line() as line, pytest.raises(Denied):
            line(url)

    def test_a_proxy_is_not_asked_about_this_machine(self, google: FakeGoogle, monkeypatch: pytest.MonkeyPatch):
        """The metadata server of the proxy's machine is another one."""
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")

        assert ask(google).heard

    def test_a_proxy_that_is_down_is_named_as_such(self, monkeypatch: pytest.MonkeyPatch):
        """Else one looks for the fault at Google."""
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

        with Line() as line, pytest.raises(Unreachable, match="HTTPS_PROXY"):
            line("https://oauth2.invalid/token")

    def test_a_netrc_does_not_replace_the_authorization(self, google: FakeGoogle, alone: Path):
        """Requests would put a password of ~/.netrc over the bearer token."""
        (alone / ".netrc").write_text("machine 127.0.0.1 login canary password canary\n")
        (alone / ".netrc").chmod(0o600)

        with Line() as line:
            line(f"{google.url}/oauth2/v3/certs", headers={"Authorization": "Bearer ours"})

        assert google.seen[-1].fields["authorization"] == "Bearer ours"

    def test_a_missing_ca_bundle_is_named_as_such(self, monkeypatch: pytest.MonkeyPatch):
        """Requests says it with an OSError of its own."""
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")

        with Line() as line, pytest.raises(Unreachable, match="REQUESTS_CA_BUNDLE"):
            line("https://127.0.0.1:1/token")

    def test_a_server_without_tls_is_named_as_such(self, google: FakeGoogle):
        """TLS to a plain port, or a certificate of somebody else."""
        with Line() as line, pytest.raises(Unreachable, match="TLS"):
            line(google.url.replace("http:", "https:") + "/token")


class TestIsNear:
    @pytest.mark.parametrize(
        "host",
        ["localhost", "127.0.0.1", "127.9.9.9", "::1", "169.254.169.254", "fd00:ec2::254", "metadata.google.internal"],
    )
    def test_this_machine_and_its_metadata_servers_are_near(self, host: str):
        """None of them speaks TLS."""
        assert google_wire.is_near(host)

    @pytest.mark.parametrize("host", ["oauth2.googleapis.com", "10.0.0.1", "127.0.0.1.example.com", "fd00::1", ""])
    def test_everything_else_is_not(self, host: str):
        """A name that looks like loopback least of all."""
        assert not google_wire.is_near(host)
