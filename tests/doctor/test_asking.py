"""One real lease, asked for as the clients ask."""

import socket

import pytest

from broker.doctor import asking
from broker.doctor.asking import digest, fetch, knock, owned
from broker.doctor.broker_found import broker_of
from broker.errors import BrokerError, NoDaemon
from tests.callers.loopback import made_by
from tests.doctor.answering import ACCOUNT, ANSWERS, answering
from tests.doctor.test_broker_found import nowhere
from tests.other_user import SOMEBODY


class TestFetch:
    def test_aws_is_asked_with_the_files_token(self, token_file: str):
        """As botocore does."""
        with answering() as server:
            found = fetch("aws", server.environment(token_file), frozenset({server.plane}))

        assert server.asked == [("/aws/train", "cbw_x")]
        assert found.identity == "123456789012"
        assert found.left > 0

    def test_google_is_asked_on_the_tokens_path(self, token_file: str):
        """Of the token only a digest is kept."""
        with answering() as server:
            found = fetch("gcp", server.environment(token_file), frozenset({server.plane}))

        assert server.asked[0] == (f"/w/cbp_x{ACCOUNT}/token", "Google")
        assert (found.identity, found.left) == ("data@p.iam.gserviceaccount.com", 1800)
        assert (found.digest, "ya29" in repr(found)) == (digest("ya29.x"), False)

    @pytest.mark.parametrize("cloud", ["aws", "gcp"])
    def test_an_address_that_is_not_the_brokers_gets_nothing(self, token_file: str, cloud: str):
        """A token shown to a stranger is his."""
        with answering() as server, pytest.raises(BrokerError, match="nothing was sent"):
            fetch(cloud, server.environment(token_file), frozenset({"127.0.0.1:1"}))

        assert server.asked == []

    @pytest.mark.parametrize(("status", "advice"), [(401, "over"), (403, "grant"), (503, "minted"), (418, "status")])
    def test_a_refusal_says_what_to_do(self, token_file: str, status: int, advice: str):
        """In our words: the body is not told."""
        with answering(ANSWERS, status) as server, pytest.raises(BrokerError, match=advice):
            fetch("aws", server.environment(token_file), frozenset({server.plane}))

    @pytest.mark.parametrize("body", ["", "[]", "[1]", "{}", '{"Expiration": 5}', '{"Expiration": "soon"}', "\xff"])
    def test_what_is_no_lease_is_told_as_that(self, token_file: str, body: str):
        """Some other program may have the port."""
        with answering({"/aws/train": body}) as server, pytest.raises(BrokerError, match="no lease"):
            fetch("aws", server.environment(token_file), frozenset({server.plane}))


class TestKnock:
    def test_it_shows_nothing(self):
        """No token and no flavour."""
        with answering() as server:
            knock(server.plane)

        assert server.asked == [("/", None)]

    def test_nobody_is_no_daemon(self):
        """Exit status 3."""
        with answering() as server:
            plane = server.plane
        with pytest.raises(NoDaemon, match="does not answer"):
            knock(plane)


class TestOwned:
    def test_ones_own_port_may_be_talked_to(self):
        """As under `exec`."""
        with answering() as server:
            assert owned(server.plane)

    @pytest.mark.root
    def test_a_port_that_another_uid_holds_is_seen_by_the_kernels_table(self):
        """The real thing: a listener of uid 4711, which gets no request."""
        with made_by(SOMEBODY):
            squatter = socket.create_server(("127.0.0.1", 0))
        with squatter:
            squatter.setblocking(False)
            plane = f"127.0.0.1:{squatter.getsockname()[1]}"

            assert not owned(plane)
            assert not broker_of({"CREDBROKER_WORKER": f"http://{plane}"}, nowhere).answers
            with pytest.raises(BlockingIOError):
                squatter.accept()

    def test_a_strangers_may_not(self, monkeypatch: pytest.MonkeyPatch):
        """Who took the port while the daemon was down."""
        monkeypatch.setattr(asking, "tcp_listener_owner", lambda _: 4711)

        assert not owned("127.0.0.1:9911")
