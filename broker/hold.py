"""A worker's tokens, held: they are good as long as the control connection that asked for them is open.

A daemon that restarts closes the connection; the next one on the same socket knows the tokens for 30 s more, and gives
them to whoever of the same user shows one. Past `engage` nothing here waits longer than a moment: `exec` has a command
to look after.
"""

import contextlib
import http.client
import time
from typing import Self

import msgspec

from broker import control_api as api
from broker.control_client import MOMENT, Client, Connection, check_port, decoded, exchange, problem_of
from broker.errors import BrokerError, NoDaemon

PAUSE = 0.25  # seconds between two tries to reach a daemon
PATIENCE = 30.0  # as long as a restarted daemon keeps the tokens; after that, LONG_PAUSE between tries
LONG_PAUSE = 5.0


class Hold:
    """Look at it whenever `fileno` is readable and whenever `pause` seconds have passed."""

    def __init__(self, client: Client, connection: Connection, worker: api.Worker, *, claims: bool) -> None:
        self.worker = worker
        self.over: str | None = None  # why the tokens are lost for good
        self._client = Client(client.path, MOMENT)
        self._connection: Connection | None = connection
        self._claims = claims
        self._asking = False
        self._lost_at: float | None = None

    @classmethod
    def engage(cls, client: Client, order: api.WorkerOrder, *, claims: bool = True) -> Self:
        """A worker of the asking user. `claims` is for a daemon that may come back. Raises BrokerError."""
        connection = client.connect()
        try:
            response = exchange(connection, "POST", "/worker", msgspec.json.encode(order))
            worker = decoded(response.readline(), api.Worker)
            check_port(worker)
        except BaseException:
            connection.close()
            raise
        return cls(client, connection, worker, claims=claims)

    def fileno(self) -> int | None:
        """What to watch, if there is anything."""
        if self._connection is None or self._connection.sock is None:
            return None
        return self._connection.sock.fileno()

    @property
    def pause(self) -> float | None:
        """Seconds after which to look even if there is nothing to read; None for never."""
        if self.over or self._lost_at is None or self._asking:
            return None
        return LONG_PAUSE if self.long_lost else PAUSE

    @property
    def lost(self) -> bool:
        """Whether no daemon holds the tokens at present."""
        return self._lost_at is not None

    @property
    def long_lost(self) -> bool:
        """Whether that has been so for longer than a restart takes."""
        return self._lost_at is not None and time.monotonic() - self._lost_at > PATIENCE

    def look(self) -> None:
        """One step: the connection has ended, a daemon may be there again, or has answered."""
        if self.over:
            return
        if self._asking:
            self._hear()
            return
        if self._connection is not None:
            self._lose()
        if not self.over:
            self._reach()

    def close(self) -> None:
        """Let go of the tokens."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _lose(self) -> None:
        self.close()
        self._asking = False
        if self._lost_at is None:
            self._lost_at = time.monotonic()
        if not self._claims:
            self.over = "the daemon has ended"

    def _reach(self) -> None:
        """Show the token to whoever listens, if he may be trusted; the answer is heard later."""
        with contextlib.suppress(NoDaemon):
            connection = self._client.connect()
            try:
                order = api.ClaimOrder(token=self.worker.header_token)
                connection.request("POST", "/worker/claim", msgspec.json.encode(order))
            except OSError:
                connection.close()
                return
            self._connection, self._asking = connection, True

    def _hear(self) -> None:
        assert self._connection is not None
        self._asking = False
        try:
            response = self._connection.getresponse()
            if response.status >= http.client.BAD_REQUEST:
                self._refused(problem_of(response))
                return
            self._check(decoded(response.readline(), api.Claimed))
        except (OSError, http.client.HTTPException, BrokerError):
            self._lose()  # this daemon has ended too, or is no daemon

    def _refused(self, error: BrokerError) -> None:
        self._lose()
        if not error.transient and error.code != "NotReady":
            self.over = "the daemon was restarted, and does not know its tokens any more"

    def _check(self, claimed: api.Claimed) -> None:
        check_port(claimed)
        self._lost_at = None
        if (claimed.host, claimed.port) != (self.worker.host, self.worker.port):
            self.over = f"the daemon was restarted, and serves workers at {claimed.host}:{claimed.port} now"
