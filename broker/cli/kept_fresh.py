"""The files of a worker that `exec` keeps fresh while its command runs. Each says when it is to be looked at again."""

from pathlib import Path

from broker.cli.held import EXPIRY, TOKEN_VARIABLE, left
from broker.control_client import WorkerPlane
from broker.errors import BrokerError
from broker.files import FreshFile, FreshFolder, next_look
from broker.secret import Secret
from broker.worker_env import OCI_CURRENT, lease_files


class TokenFile:
    """The file that CLOUDSDK_AUTH_ACCESS_TOKEN_FILE names, kept fresh while the command runs."""

    def __init__(self, plane: WorkerPlane, name: str, path: Path) -> None:
        self._plane = plane
        self._name = name
        self._file = FreshFile(path)

    def refresh(self) -> float:
        """Put the held token into the file if it is a new one; seconds until the next look."""
        try:
            lease = self._plane.lease(self._name, 0)
            token = lease[TOKEN_VARIABLE].encode()
            self._file.put(token, token)
        except BrokerError:
            return next_look(0)  # the daemon keeps trying, and so do we
        return next_look(left(lease))


class OciFiles:
    """The pair of files that Oracle's SDK reads, swapped as one."""

    def __init__(self, plane: WorkerPlane, name: str, path: str) -> None:
        self._plane = plane
        self._name = name
        self._folder = FreshFolder(path, OCI_CURRENT)

    def refresh(self) -> float:
        """Lay out the held lease if it is a new one; seconds until the next look."""
        try:
            lease = self._plane.lease(self._name, 0)
            values = {name: Secret(value) for name, value in lease.items() if name != EXPIRY}
            mark = tuple(sorted(secret.open() for secret in values.values()))
            self._folder.put(mark, lambda folder: lease_files(values, folder))
        except BrokerError:
            return next_look(0)
        return next_look(left(lease))
