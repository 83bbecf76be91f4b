"""The minters of one daemon: those that mint and those that review, all by the configuration that is in force."""

import os
from collections.abc import Callable, Mapping, Sequence

from broker.config import references
from broker.config.shape import Address, Config, Snapshot
from broker.events import Note
from broker.identity import minter_environment, take_identity
from broker.minter.asking import Mints, Reviewer
from broker.minter.client import Launch, Pool, Service


class Upstream:
    """`own` are the daemon's addresses: a minter must never fetch from the broker itself."""

    def __init__(
        self,
        identity: Mapping[str, str],
        own: Sequence[Address],
        config: Callable[[], Config],
        snapshot: Snapshot,
        note: Note,
    ) -> None:
        self._identity = dict(identity)
        self._own = [(one.host, one.port) for one in own]
        self._config = config
        launch, generation = self._launch(snapshot), lambda: config().generation
        self.pool = Pool(launch, note)
        self.reviewer = Reviewer(launch, note, generation)
        self.mints = Mints(self.pool, note, generation)

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of all children."""
        return (*self.pool.pids, *self.reviewer.pool.pids)

    def relaunch(self, snapshot: Snapshot) -> None:
        """Another configuration is in force from now on; working minters finish what they do."""
        for pool in (self.pool, self.reviewer.pool):
            pool.relaunch(self._launch(snapshot))

    async def close(self) -> None:
        """End all minters."""
        await self.reviewer.pool.close()
        await self.pool.close()

    def _launch(self, snapshot: Snapshot) -> Launch | Service:
        config = self._config()
        if config.daemon.minter_socket:
            return Service(config.daemon.minter_socket)
        self._identity |= take_identity(os.environ, references.variables(config.credentials))
        return Launch(snapshot, minter_environment(self._identity, os.environ, self._own))
