"""What a worker's environment is: variables to set and to unset, and the files that they name. Pure."""

from collections.abc import Mapping

import msgspec

from broker.config.shape import Address
from broker.secret import Secret

Text = str | Secret


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """A change of an environment. Folders are made 0700 before the files, 0600; all paths are absolute."""

    set: tuple[tuple[str, Text], ...] = ()
    unset: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    files: tuple[tuple[str, Text], ...] = ()

    def names(self) -> tuple[str, ...]:
        """Every variable that is set or unset."""
        return (*(name for name, _ in self.set), *self.unset)


class Plane(msgspec.Struct, frozen=True, kw_only=True):
    """Where a worker finds its broker and by what it is known there.

    Without tokens the kernel attests the worker's uid. `folder` is private to the worker; `program` is how `credbroker`
    is started, by an absolute path.
    """

    address: Address
    folder: str
    program: tuple[str, ...]
    header_token: Secret | None = None
    path_token: Secret | None = None
    socket: str | None = None  # the control socket of the same daemon

    @property
    def authorization(self) -> Text:
        """The value of the Authorization header."""
        return self.header_token or "attested"

    @property
    def token_file(self) -> str:
        """The file that holds it, alone and without a newline."""
        return f"{self.folder}/token"

    @property
    def metadata_host(self) -> Text:
        """What stands for the metadata server's host; a path in it is kept by the clients."""
        if self.path_token is None:
            return str(self.address)
        return Secret(f"{self.address}/w/{self.path_token.open()}")


def joined(*parts: Environment) -> Environment:
    """One environment of several: where two set a variable the later one does, and what is set is not unset."""
    variables = {name: value for part in parts for name, value in part.set}
    return Environment(
        set=tuple(variables.items()),
        unset=tuple(dict.fromkeys(name for part in parts for name in part.unset if name not in variables)),
        folders=tuple(dict.fromkeys(folder for part in parts for folder in part.folders)),
        files=tuple(file for part in parts for file in part.files),
    )


def opened(text: Text) -> str:
    """A text that may be a secret, to be written where the worker reads it."""
    return text.open() if isinstance(text, Secret) else text


def applied(environment: Environment, environ: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the worker: `environ`, changed."""
    kept = {name: value for name, value in environ.items() if name not in environment.unset}
    return kept | {name: opened(value) for name, value in environment.set}


def contents(environment: Environment) -> tuple[tuple[str, bytes], ...]:
    """The files as `files.lay_out` writes them."""
    return tuple((path, opened(content).encode(errors="surrogateescape")) for path, content in environment.files)
