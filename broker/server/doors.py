"""Every socket that the daemon listens on: handed over by systemd or opened here, all of them or none."""

import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from broker.config.shape import Address, DaemonSettings
from broker.server import sockets

BACKLOG = 4096
ADMIN_BACKLOG = 128
EVERYBODY = 0o666  # may knock at the control socket; who he is decides


class Doors(msgspec.Struct, frozen=True, kw_only=True):
    """The listening sockets, and the control socket's path, by which commands find this daemon."""

    worker: list[socket.socket]
    control: list[socket.socket]
    admin: list[socket.socket]
    path: str

    @property
    def listen(self) -> tuple[Address, ...]:
        """Where the worker plane is, with the ports that it got."""
        return tuple(_address(one) for one in self.worker)

    @property
    def workers(self) -> Address:
        """Where processes of this machine go: not where pods alone are served. Of no host where there is no such."""
        return workers_among(self.listen)

    @property
    def admin_at(self) -> str | None:
        """Where health and metrics are, if anywhere."""
        return str(_address(self.admin[0])) if self.admin else None


def open_doors(
    settings: DaemonSettings,
    handed: Mapping[str, tuple[socket.socket, ...]],
    runtime_dir: str,
    stack: contextlib.ExitStack | contextlib.AsyncExitStack,
) -> Doors:
    """Open them; `stack` closes them at the end, and where a later one cannot be had. Raises BrokerError."""
    hold = stack.enter_context
    worker = [hold(one) for one in handed.get("worker", ())]
    worker = worker or [hold(sockets.listen_tcp(one, BACKLOG)) for one in settings.listen]
    path = settings.socket or str(Path(runtime_dir) / "broker.sock")
    control = [hold(one) for one in handed.get("control", ())]
    if not control:
        control = [hold(sockets.listen_unix(path, EVERYBODY))]
        stack.callback(Path(path).unlink, missing_ok=True)
    admin = [hold(sockets.listen_tcp(settings.admin, ADMIN_BACKLOG))] if settings.admin else []
    return Doors(worker=worker, control=control, admin=admin, path=path)


def workers_among(listen: tuple[Address, ...]) -> Address:
    """The first that is not for pods alone."""
    return next((one for one in listen if not one.for_pods), Address("", 0))


def _address(listener: socket.socket) -> Address:
    return Address(*listener.getsockname()[:2])
