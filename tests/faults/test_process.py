"""Faults of the process itself: restarts, and commands under `exec` that outlive them or are killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import Self

import pytest

from broker import control_api as api
from broker.errors import BrokerError
from broker.hold import Hold
from tests.cli.newcomer import CREDBROKER, until
from tests.faults.stage import Broker

# Prints the status of a request each time a line is read.
WORKER = """
import os, sys, urllib.request, urllib.error
url = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
asked = urllib.request.Request(url, headers={"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]})
print(os.getpid(), flush=True)
for line in sys.stdin:
    try:
        print(urllib.request.urlopen(asked, timeout=10).status, flush=True)
    except urllib.error.HTTPError as error:
        print(error.code, flush=True)
    except OSError as error:
        print(error, flush=True)
"""

# `credbroker` whose held tokens have little time to be claimed.
SHORT_CLAIM = """
import sys
from broker.callers import worker_token
from broker.cli import main
worker_token.CLAIM = 2.0
sys.argv[0] = "credbroker"
main()
"""


class Command:
    """A command under `exec` that asks when it is told to."""

    def __init__(self, broker: Broker) -> None:
        self.process = subprocess.Popen(
            [*CREDBROKER, "exec", "--as", "me", "--", sys.executable, "-c", WORKER],
            env=broker.user.variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.pid = int(self.process.stdout.readline())

    def asks(self) -> str:
        """What its next request gets."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> str:
        """End it well; what `exec` said."""
        _, said = self.process.communicate(timeout=20)
        assert self.process.returncode == 0
        return said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def tokens(broker: Broker) -> list[api.Token]:
    """The live tokens."""
    return broker.client.get("/tokens", list[api.Token])


def held(broker: Broker) -> bool:
    """Whether there are tokens, and each is held by a connection."""
    found = tokens(broker)
    return bool(found) and all(token.expires_at is None and not token.unclaimed for token in found)


def claimed(broker: Broker, token: str) -> str:
    """What a claim gets."""
    with pytest.raises(BrokerError) as refused:
        broker.client.post("/worker/claim", api.ClaimOrder(token=token), api.Claimed)
    return refused.value.code


class TestRestart:
    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
    def test_a_command_under_exec_does_not_notice_one(self, own: Broker, how: signal.Signals):
        """Its token is good as soon as the next daemon listens, and is held by a connection again."""
        own.start()
        with Command(own) as command:
            assert command.asks() == "200"
            until(own.tokens_file.exists)
            own.stop(how)
            own.start()
            assert command.asks() == "200"
            until(lambda: held(own))
            assert command.asks() == "200"
            said = command.end()

        until(lambda: not tokens(own))
        assert "daemon has ended" not in said
        assert "over" not in said

    def test_issued_tokens_go_on_and_revoked_ones_stay_revoked(self, own: Broker):
        """Even if the daemon is killed right after it has said that the token is revoked."""
        own.start()
        kept, gone = own.token(), own.token()
        time.sleep(1.5)
        ids = [token.id for token in tokens(own)]
        own.client.delete(f"/tokens/{ids[1]}", api.Token)
        own.stop(signal.SIGKILL)
        own.start()

        assert own.ask(own.head(Authorization=kept)).status == 200
        assert own.ask(own.head(Authorization=gone)).status == 401
        assert [token.id for token in tokens(own)] == ids[:1]

    def test_a_token_that_nobody_claims_ends(self, own: Broker):
        """`exec` was killed with the daemon."""
        own.command = [sys.executable, "-P", "-c", SHORT_CLAIM, "serve"]
        own.start()
        with Command(own) as command:
            assert command.asks() == "200"
            until(own.tokens_file.exists)
            command.process.send_signal(signal.SIGSTOP)
            own.stop(signal.SIGKILL)
            own.start()
            assert {token.unclaimed for token in tokens(own)} == {True}
            assert command.asks() == "200"
            until(lambda: not tokens(own))
            assert command.asks() == "401"
            command.process.send_signal(signal.SIGCONT)
            assert command.process.stderr is not None
            until(lambda: "does not know its tokens any more" in command.process.stderr.readline())

        assert {line["why"] for line in own.audit("TokenRevoked")} == {"closed"}

    def test_tokens_of_a_caller_that_is_gone_are_not_taken_over(self, own: Broker):
        """As after a reload."""
        own.start()
        token = own.token()
        own.stop()
        own.configure("[callers.other]\nworker_token = true\ngrants = ['train']\n")
        own.start()

        assert own.ask(own.head(Authorization=token)).status == 401
        assert [line["caller"] for line in own.audit("TokenRevoked")] == ["batch"]

    @pytest.mark.parametrize("spoilt", ["cut", "flipped", "another boot's", "another daemon's", "nonsense"])
    def test_a_file_that_is_not_believed_is_dropped_with_one_warning(self, own: Broker, spoilt: str):
        """And the daemon starts."""
        own.start(warm=False)
        token = own.token()
        own.stop()
        data = own.tokens_file.read_bytes()
        if spoilt == "another boot's":
            from broker.callers.worker_token import Kept
            from broker.state.kept_file import KeptFile, Stamp

            stamp = Stamp(owner=str(own.user.socket), boot="", booted=0.0)
            KeptFile(own.tokens_file, Kept, stamp).save(())
        elif spoilt == "another daemon's":
            own.tokens_file.unlink()
            own.tokens_file.write_bytes(data.replace(b"broker.sock", b"bruker.sock"))
        else:
            wrong = {"cut": data[:-1], "flipped": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], "nonsense": b"?"}
            own.tokens_file.write_bytes(wrong[spoilt])
        own.tokens_file.chmod(0o600)
        own.start(warm=False)

        assert own.ask(own.head(Authorization=token)).status == 401
        assert own.user.log().count("were not taken over") == 1
        own.stop()
        own.start(warm=False)
        assert own.user.log().count("were not taken over") == 1

    def test_only_the_header_token_of_a_worker_that_is_cut_off_is_claimed(self, own: Broker):
        """Not while a connection holds it, and not by who has only seen the path token."""
        own.start(warm=False)
        with contextlib.closing(Hold.engage(own.client, api.WorkerOrder(caller="me", hold=True))) as hold:
            worker = hold.worker
            for text in (own.token(), worker.path_token, worker.header_token[:-1] + "x", "cbw_", ""):
                assert claimed(own, text) == "NotFound"
            assert claimed(own, worker.header_token) == "Held"

    def test_the_file_is_private(self, own: Broker):
        """And holds no token."""
        own.start(warm=False)
        token = own.token()
        own.stop()

        assert own.tokens_file.stat().st_mode & 0o777 == 0o600
        assert token[4:].encode() not in own.tokens_file.read_bytes()


class TestFault46:
    def test_exec_killed_with_sigkill_takes_its_token_along(self, own: Broker):
        """The connection that held it is gone."""
        own.start()
        with Command(own) as command:
            assert len(tokens(own)) == 2
            os.kill(command.process.pid, signal.SIGKILL)
            until(lambda: not tokens(own))

        assert {line["why"] for line in own.audit("TokenRevoked")} == {"closed"}

    def test_also_after_a_restart_that_it_has_outlived(self, own: Broker):
        """The connection that claimed the token is gone."""
        own.start()
        with Command(own) as command:
            until(own.tokens_file.exists)
            own.stop(signal.SIGKILL)
            own.start()
            until(lambda: held(own))
            os.kill(command.process.pid, signal.SIGKILL)
            until(lambda: not tokens(own), 5.0)
