"""Fault 25 against the running program: what is asked of upstream, where, and what is read of its answer.

URLs stand in the operator's configuration and identity files alone; https or loopback; no redirect; bounded bodies.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.newcomer import TRAIN, Newcomer, newcomer
from tests.fakes.google import FakeGoogle
from tests.fakes.google.__main__ import introduction
from tests.fakes.serving import Answer, Call, Served
from tests.fakes.sts import Fault
from tests.faults.stage import Broker

MOST_READ = 64 << 20  # what sockets and pipes may hold of an endless answer besides the few KB that are looked at
REDIRECTS = [301, 302, 303, 307, 308]
GOOGLE = """
    [credentials.data]
    source = "gcp-adc"
    file = "{key}"
    warm = "first-use"

    [callers.me]
    ME
    grants = ["data"]
"""


class Elsewhere:
    """A server that nobody has configured; what came to it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.server = Served(self._answer)

    def _answer(self, call: Call) -> Answer:
        self.calls.append(call)
        return Answer(200, b'{"access_token": "stolen", "expires_in": 3600, "token_type": "Bearer"}')


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    found = Elsewhere()
    with found.server:
        yield found


@pytest.fixture
def google() -> Iterator[tuple[Newcomer, Path]]:
    """Somebody with a service account key that names a token endpoint of the test's own."""
    with FakeGoogle() as fake, newcomer() as user:
        key = Path(str(introduction(fake, user.folder)["key_file"]))
        user.configure(GOOGLE.format(key=key))
        yield user, key


def points_to(key: Path, url: str) -> None:
    """Write another token endpoint into the key file."""
    key.write_text(json.dumps(json.loads(key.read_text()) | {"token_uri": url}))


class TestFault25:
    def test_no_redirect_of_sts_is_followed(self, own: Broker, elsewhere: Elsewhere):
        """A signed request would be carried to whom it was not meant for. The held lease stays."""
        own.start()
        held = own.ask(own.attested()).json
        to = f"{elsewhere.server.url}/"
        for status in REDIRECTS:
            own.sts.script = lambda _, status=status: Fault(status=status, headers=(("Location", to),))
            ended, words = own.run("refresh", "train").outcome
            assert (ended, words.startswith(f"train: cannot assume {TRAIN}"), to in words) == (1, True, False)

        assert elsewhere.calls == []
        assert own.ask(own.attested()).json == held

    def test_an_endless_answer_of_sts_is_cut_off(self, own: Broker):
        """The held lease stays, and nobody's memory is upstream's to fill."""
        own.start()
        held, sent = own.ask(own.attested()).json, itertools.count()
        own.sts.script = lambda _: Fault(body=(b"x" * 65_536 for _ in sent))
        ended, words = own.run("refresh", "train").outcome

        assert (ended, "without end" in words) == (1, True)
        assert next(sent) * 65_536 < MOST_READ
        assert own.ask(own.attested()).json == held

    @pytest.mark.parametrize("status", REDIRECTS)
    def test_no_redirect_of_google_is_followed(self, google: tuple[Newcomer, Path], elsewhere: Elsewhere, status: int):
        """A signed assertion likewise."""
        user, key = google
        to = f"{elsewhere.server.url}/token"
        with Served(lambda _: Answer(status, b"", {"Location": to})) as redirecting:
            points_to(key, f"{redirecting.url}/token")
            ran = user.run("check")

        assert (ran.status, "redirects elsewhere, which is not followed" in ran.out + ran.err) == (1, True)
        assert elsewhere.calls == []

    def test_an_endless_answer_of_google_is_cut_off(self, google: tuple[Newcomer, Path]):
        """A hundred megabytes that say they are a token."""
        user, key = google
        with Served(lambda _: Answer(200, b" " * (100 << 20))) as flooding:
            points_to(key, f"{flooding.url}/token")
            ran = user.run("check")

        assert (ran.status, "answers at great length" in ran.out + ran.err) == (1, True)

    @pytest.mark.parametrize("url", ["http://oauth2.example/token", "ftp://127.0.0.1/token", "file:///etc/passwd"])
    def test_an_identity_is_not_sent_in_the_clear(self, google: tuple[Newcomer, Path], url: str):
        """Https, or http on this machine."""
        user, key = google
        points_to(key, url)
        ran = user.run("check")

        assert (ran.status, "neither https nor on this machine" in ran.out + ran.err) == (1, True)

    @pytest.mark.parametrize("url", ["http://sts.example", "http://10.0.0.1:8080", "http://127.0.0.1.example/"])
    def test_nor_to_a_configured_endpoint(self, user: Newcomer, url: str):
        """The file is refused before anything runs."""
        user.configure(
            f'[credentials.a]\nsource = "aws-assume-role"\nrole_arn = "{TRAIN}"\nendpoint_url = "{url}"\n'
            '[callers.me]\nME\ngrants = ["a"]\n'
        )
        ended, words = user.run("check", "--offline").outcome

        assert (ended, "must be https, or http to a loopback address" in words) == (2, True)

    def test_nothing_that_a_worker_sends_chooses_what_is_asked(self, own: Broker, elsewhere: Elsewhere):
        """Neither a URL nor a role, a region, a name or a duration."""
        own.start()
        url = elsewhere.server.url
        more = f"endpoint_url={url}&role_arn={TRAIN}x&region=evil&session_name=root&duration=1&scopes=a&audience={url}"
        for path in ("/aws/mine", "/env/mine", "/token/mine", "/aws", f"/aws/{url}"):
            own.ask(own.attested(f"{path}?{more}", X_Endpoint=url, AWS_Endpoint_Url=url))

        asked = {(call.form["RoleArn"], call.form["RoleSessionName"]) for call in own.sts.calls if call.form}
        assert elsewhere.calls == []
        assert asked == {(TRAIN, name) for name in ("train-me", "train-alice", "train-bob", "train-batch", "mine-me")}

    @pytest.mark.root  # a process that cannot be dumped shows its descriptors to root alone
    def test_the_daemon_itself_connects_to_nobody(self, own: Broker):
        """Minters do: none of its own sockets has upstream's port for a peer."""
        own.start()
        assert own.run("refresh", "train").status == 0
        ours = {str(end.readlink()) for end in Path(f"/proc/{own.pid}/fd").iterdir()}
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        remote = {row[2] for row in rows if f"socket:[{row[9]}]" in ours and row[3] != "0A"}

        assert remote == set()
