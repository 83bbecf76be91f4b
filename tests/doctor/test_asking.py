"""One real lease, asked for as the clients ask."""

import base64
import json
import socket
import time
from pathlib import Path

import pytest

from broker.doctor import asking
from broker.doctor.asking import Fetched, digest, fetch, knock, owned
from broker.doctor.broker_found import broker_of
from broker.errors import BrokerError, NoDaemon
from tests.callers.loopback import made_by
from tests.doctor.answering import ACCOUNT, ANSWERS, answering
from tests.doctor.test_broker_found import nowhere
from tests.other_user import SOMEBODY


def given(cloud: str, environ: dict[str, str], plane: str) -> Fetched:
    """A lease that is there."""
    found = fetch(cloud, environ, frozenset({plane}))
    assert found is not None
    return found


class TestFetch:
    def test_aws_is_asked_with_the_files_token(self, token_file: str):
        """As botocore does."""
        with answering() as server:
            found = given("aws", server.environment(token_file), server.plane)

        assert server.asked == [("/aws/train", "cbw_x")]
        assert found.identity == "123456789012"
        assert found.left > 0

    def test_google_is_asked_on_the_tokens_path(self, token_file: str):
        """Of the token only a digest is kept."""
        with answering() as server:
            found = given("gcp", server.environment(token_file), server.plane)

        assert server.asked[0] == (f"/w/cbp_x{ACCOUNT}/token", "Google")
        assert (found.identity, found.left) == ("data@p.iam.gserviceaccount.com", 1800)
        assert (found.digest, "ya29" in repr(found)) == (digest("ya29.x"), False)

    def test_azure_is_asked_as_app_service(self, token_file: str):
        """With the header of its own, and for storage."""
        path = "/azure/token?api-version=2019-08-01&resource=https://storage.azure.com"
        body = json.dumps({"access_token": "eyJ.x", "expires_on": str(int(time.time()) + 1800)})
        with answering({path: body}) as server:
            environ = server.environment(token_file) | {"IDENTITY_ENDPOINT": f"http://{server.plane}/azure/token"}
            found = given("azure", environ | {"IDENTITY_HEADER": "cbw_x"}, server.plane)

        assert server.asked == [(path, "cbw_x")]
        assert found.left == pytest.approx(1800, abs=5)
        assert found.digest == digest("eyJ.x")

    def test_databricks_is_asked_with_its_protocol_s_headers(self, token_file: str):
        """Without them it gives nothing."""
        body = json.dumps({"access_token": "x", "expires_on": time.time() + 600})
        with answering({"/w/cbp_x/databricks/lake": body}) as server:
            environ = {"DATABRICKS_METADATA_SERVICE_URL": f"http://{server.plane}/w/cbp_x/databricks/lake"}
            found = given("databricks", environ | {"DATABRICKS_HOST": "https://lake.example"}, server.plane)

        assert server.asked == [("/w/cbp_x/databricks/lake", "https://lake.example")]
        assert found.identity == "https://lake.example"
        assert found.left == pytest.approx(600, abs=5)

    def test_oracle_s_lies_in_the_workers_folder(self, tmp_path: Path):
        """A session tells when it ends; an API key has no end to tell of."""
        claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + 900}).encode()).rstrip(b"=")
        path = tmp_path / "rpst"
        path.write_bytes(b"e30." + claims + b".sig")
        path.chmod(0o600)

        assert given("oci", {"OCI_RESOURCE_PRINCIPAL_RPST": str(path)}, "").left == pytest.approx(900, abs=5)
        assert fetch("oci", {"OCI_CONFIG_FILE": str(path)}, frozenset()) is None

    @pytest.mark.parametrize("content", ["", "e30", "e30.!.x", "e30.e30.x", "e30.W10.x"])
    def test_a_session_that_is_none_is_told_as_that(self, tmp_path: Path, content: str):
        """Some other program may have written it."""
        path = tmp_path / "rpst"
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(BrokerError, match="no lease"):
            fetch("oci", {"OCI_RESOURCE_PRINCIPAL_RPST": str(path)}, frozenset())

    @pytest.mark.parametrize("cloud", ["aws", "gcp", "azure", "databricks"])
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
