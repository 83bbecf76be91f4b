"""A command inside a worker: it asks the worker plane, by the token that it was started with."""

import hashlib
import itertools
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from broker import control_client
from broker.control_client import Untrusted, WorkerPlane, as_worker, check_outer, worker_digest
from broker.errors import BrokerError, NoDaemon
from broker.secret import Secret
from tests.answering import answering
from tests.other_user import SOMEBODY


class TestWorkerPlane:
    @pytest.fixture
    def environ(self, tmp_path: Path) -> dict[str, str]:
        """As `exec` makes it."""
        (tmp_path / "token").write_text("cbw_x")
        (tmp_path / "token").chmod(0o600)
        return {"CREDBROKER_WORKER": "http://127.0.0.1:9911", "CREDBROKER_WORKER_TOKEN_FILE": str(tmp_path / "token")}

    def test_a_worker_knows_its_broker_by_its_environment(self, environ: dict[str, str]):
        """And its token by the file that it names."""
        plane = as_worker(environ)

        assert plane is not None
        assert (plane.host, plane.port, plane.token == Secret("cbw_x")) == ("127.0.0.1", 9911, True)

    @pytest.mark.parametrize("missing", ["CREDBROKER_WORKER", "CREDBROKER_WORKER_TOKEN_FILE"])
    def test_without_either_it_is_none(self, environ: dict[str, str], missing: str):
        """An ordinary shell."""
        del environ[missing]

        assert as_worker(environ) is None

    def test_a_token_file_that_others_may_write_is_refused(self, environ: dict[str, str]):
        """Somebody may have put his own there."""
        Path(environ["CREDBROKER_WORKER_TOKEN_FILE"]).chmod(0o666)

        with pytest.raises(BrokerError, match="others may write to it"):
            as_worker(environ)

    def test_it_shows_its_token(self):
        """Under the credential's name."""
        with answering(("127.0.0.1", 0), body=b'{"expires_at": "2999-01-01T00:00:00Z"}') as server:
            WorkerPlane("127.0.0.1", server.server_address[1], Secret("cbw_x")).lease("a/b")

        assert server.asked == ["GET /env/a%2Fb cbw_x"]

    def test_a_port_that_somebody_else_holds_is_not_shown_it(self, monkeypatch: pytest.MonkeyPatch):
        """The broker of this worker is gone: fault 43."""
        monkeypatch.setattr(control_client, "tcp_listener_owner", lambda _: SOMEBODY)
        with answering(("127.0.0.1", 0), body=b"{}") as server:
            plane = WorkerPlane("127.0.0.1", server.server_address[1], Secret("cbw_x"))
            with pytest.raises(Untrusted, match=f"held by uid {SOMEBODY}"):
                plane.lease("train")

        assert server.asked == []

    def test_a_token_that_is_over_says_how_to_get_another(self):
        """The plane's own words are for programs."""
        with answering(("127.0.0.1", 0), 401, b'{"error": "Unauthorized", "message": "send a token"}') as server:
            plane = WorkerPlane("127.0.0.1", server.server_address[1], Secret("cbw_x"))
            with pytest.raises(BrokerError, match="this worker's token is over") as failure:
                plane.lease("train")

        assert failure.value.exit_status == 4

    def test_one_that_is_not_ready_is_asked_again_for_so_long(self, monkeypatch: pytest.MonkeyPatch):
        """The plane itself waits a little before it says so."""
        passing = itertools.count(step=10.0)
        monkeypatch.setattr(control_client, "time", SimpleNamespace(monotonic=lambda: next(passing)))
        with answering(("127.0.0.1", 0), 503, b'{"error": "NotReady", "message": "nothing is minted yet"}') as server:
            plane = WorkerPlane("127.0.0.1", server.server_address[1], Secret("cbw_x"))
            with pytest.raises(BrokerError, match="nothing is minted yet"):
                plane.lease("train", 25.0)

        assert len(server.asked) == 3

    def test_a_broker_that_is_gone_is_no_daemon(self):
        """With the system's word for it."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            plane = WorkerPlane("127.0.0.1", free.getsockname()[1], Secret("cbw_x"))
            with pytest.raises(NoDaemon, match="the broker of this worker does not answer: Connection refused"):
                plane.lease("train")


class TestCheckOuter:
    def test_a_broker_does_not_begin_in_a_worker_whose_port_somebody_else_holds(self, monkeypatch: pytest.MonkeyPatch):
        """Its SDKs would ask there for their identity, and show the token."""
        monkeypatch.setattr(control_client, "tcp_listener_owner", lambda _: SOMEBODY)

        with pytest.raises(Untrusted, match=f"port 9911 is held by uid {SOMEBODY}"):
            check_outer({"CREDBROKER_WORKER": "http://127.0.0.1:9911"})

    @pytest.mark.parametrize("environ", [{}, {"CREDBROKER_WORKER": ""}])
    def test_an_ordinary_shell_is_no_worker(self, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch):
        """Whoever holds whatever port."""
        monkeypatch.setattr(control_client, "tcp_listener_owner", lambda _: SOMEBODY)

        check_outer(environ)


class TestWorkerDigest:
    TOKEN = "cbw_" + "t" * 43

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """A token file as `exec` makes it."""
        path = tmp_path / "token"
        path.write_text(self.TOKEN)
        path.chmod(0o600)
        return path

    def test_it_is_that_of_the_file_and_else_of_the_variable(self, file: Path):
        """A container that was given the variables alone has no such file."""
        other = "cbw_" + "o" * 43
        environ = {"CREDBROKER_WORKER_TOKEN_FILE": str(file), "AWS_CONTAINER_AUTHORIZATION_TOKEN": other}
        digests = [worker_digest(environ)]
        file.unlink()
        digests.append(worker_digest(environ))

        assert digests == [hashlib.sha256(text.encode()).hexdigest() for text in (self.TOKEN, other)]

    @pytest.mark.parametrize("text", ["attested", "", "cbw_short", "eyJhbGciOi.J9.x"])
    def test_what_is_no_worker_token_is_none(self, file: Path, text: str):
        """Then it is the uid that a worker is known by, or somebody else's token."""
        file.write_text(text)

        assert worker_digest({"CREDBROKER_WORKER_TOKEN_FILE": str(file)}) is None
        assert worker_digest({"AWS_CONTAINER_AUTHORIZATION_TOKEN": text}) is None
        assert worker_digest({}) is None

    def test_a_file_that_others_may_write_is_refused(self, file: Path):
        """Somebody may have put his own there."""
        file.chmod(0o666)

        with pytest.raises(BrokerError, match="others may write to it"):
            worker_digest({"CREDBROKER_WORKER_TOKEN_FILE": str(file)})
