"""Faults 43 and 45 against the running program: who listens in our place, and who is made to ask for somebody else.

Fault 46, `exec` killed with SIGKILL, is in test_process.py; 48, one uid that takes all connections, in test_limits.py.
"""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping

import pytest

from tests.fakes.serving import Answer, Call, Served
from tests.faults.stage import Broker
from tests.squatter import squatted_port

SECRET = b"SecretAccessKey"
NOTHING: Mapping[str, str] = {}
HOP = {"host", "connection", "proxy-connection", "keep-alive"}
SQUID = {"Via": "1.1 node (squid/5.7)", "X-Forwarded-For": "10.0.0.7", "Cache-Control": "max-age=259200"}
TINYPROXY = {"Via": "1.1 tinyproxy (tinyproxy/1.11.1)"}
ENVOY = {"x-forwarded-proto": "http", "x-request-id": "7a5e0e06-87d5-4b9c-b4b0-0e4f5d3c2a11"}
NOTEBOOK = {"X-Forwarded-Context": "/user/alice/proxy/9911", "X-ProxyContextPath": "/user/alice/proxy/9911"}
SAY_SO = [SQUID, TINYPROXY, ENVOY, NOTEBOOK]


@pytest.mark.root
class TestFault43:
    """Another user holds our port while the daemon is down."""

    COMMANDS = ("exec -- true", "env", "doctor", "check", "serve", "get train", "whoami", "status", "refresh train")

    def test_no_command_tells_him_anything(self, own: Broker):
        """Started in a worker's environment, which names the port and holds tokens."""
        own.start()
        worker = json.loads(own.run("env", "--format", "json").out)["set"]
        own.stop()
        with squatted_port(own.port) as heard:
            ran = {command: own.user.run(*command.split(), **worker) for command in self.COMMANDS}

        assert own.address in worker["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        assert [told for told in heard if told != "b''"] == []
        assert [command for command, one in ran.items() if one.status == 0 or "cbw_" in one.err + one.out] == []
        assert "who is neither you nor the daemon: nothing was sent" in ran["exec -- true"].err


class Proxy:
    """A forward proxy as they are: passes every field on, less those of the hop, and adds its own."""

    def __init__(self, adds: Mapping[str, str]) -> None:
        self._adds = adds
        self.served = Served(self._pass_on)

    def ask(self, url: str, fields: Mapping[str, str] = NOTHING) -> tuple[int, bytes]:
        """What a client gets that asks this proxy for a URL."""
        connection = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=10)
        connection.request("GET", url, headers=dict(fields))
        answer = connection.getresponse()
        status, body = answer.status, answer.read()
        connection.close()
        return status, body

    def _pass_on(self, call: Call) -> Answer:
        target = urllib.parse.urlsplit(call.path)
        connection = http.client.HTTPConnection(target.netloc, timeout=10)
        fields = {name: text for name, text in call.fields.items() if name not in HOP}
        connection.request(call.method, target.path, headers=fields | dict(self._adds))
        answer = connection.getresponse()
        status, body = answer.status, answer.read()
        connection.close()
        return Answer(status, body)


class TestFault45:
    """A proxy, a notebook server, a URL fetcher of a granted uid: ours, whose process the proxies are in."""

    @pytest.mark.parametrize("adds", [*SAY_SO, NOTHING])
    def test_a_url_alone_gets_nothing_through_any_proxy(self, broker: Broker, adds: Mapping[str, str]):
        """Whoever may choose a URL and nothing else."""
        proxy = Proxy(adds)
        with proxy.served:
            for path in ("/aws/train", "/env/train", "/aws", "/computeMetadata/v1/project/project-id"):
                status, body = proxy.ask(f"http://{broker.address}{path}")
                assert status in {401, 403}
                assert SECRET not in body

    @pytest.mark.parametrize("adds", SAY_SO)
    @pytest.mark.parametrize("shown", [{"Authorization": "attested"}, {"Metadata-Flavor": "Google"}])
    def test_nor_do_the_right_fields_through_one_that_says_what_it_is(
        self, broker: Broker, adds: Mapping[str, str], shown: Mapping[str, str]
    ):
        """As proxies should."""
        proxy = Proxy(adds)
        with proxy.served:
            status, body = proxy.ask(f"http://{broker.address}/aws/train", shown)

        assert (status, SECRET in body) == (403, False)

    def test_one_that_says_nothing_and_passes_every_field_is_the_worker_itself(self, broker: Broker):
        """What does not hold: its bytes are those of an SDK of its uid. docs/security.md says what to do."""
        proxy = Proxy(NOTHING)
        with proxy.served:
            status, body = proxy.ask(f"http://{broker.address}/aws/train", {"Authorization": "attested"})

        assert (status, SECRET in body) == (200, True)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_fetcher_that_is_sent_to_us_gets_nothing(self, broker: Broker, status: int):
        """By a page that it was to fetch: the redirect names our URL, and nothing but a URL can be named."""
        to = f"http://{broker.address}/aws/train"
        with Served(lambda _: Answer(status, b"", {"Location": to})) as page:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with pytest.raises(urllib.error.HTTPError) as refused:
                opener.open(page.url, timeout=10)
        with refused.value:
            assert (refused.value.code, refused.value.url) == (401, to)
            assert SECRET not in refused.value.read()

    def test_a_url_with_line_breaks_is_no_request_of_two(self, broker: Broker):
        """A fetcher that does not look at them sends fields for its attacker, and is refused for what comes before."""
        line = f"/aws/train HTTP/1.1\r\nHost: {broker.address}\r\nAuthorization: attested\r\nX: "
        with broker.connect() as end:
            end.sendall(broker.head(f"/fetch?url=http://{broker.address}{line}", User_Agent="fetcher"))
            answer = end.recv(1 << 16)

        assert answer.startswith(b"HTTP/1.1 400")
