"""Zero configuration: what the daemon does for one user on his own machine when no file is found. Pure.

A convenience and not a boundary. Daemon and minter make the same one from the same two arguments.
"""

import hashlib
from collections.abc import Container, Mapping
from pathlib import PurePath

import msgspec

from broker.config.shape import Address, CallerEntry, Config, Credential, DaemonSettings, Rule
from broker.sources import TABLE, Source

GENERATION = hashlib.sha256(b"credbroker zero configuration 1").hexdigest()
CREDENTIALS = {"aws": "aws-session", "gcp": "gcp-adc"}
CALLER = "local"


def configuration(runtime_dir: str, uid: int, *, table: Mapping[str, Source] = TABLE) -> Config:
    """Whatever identity is found, for the processes of `uid`, on a free port of loopback.

    Root is never matched by its uid, since every daemon of a machine may have that one: there only a token opens it.
    """
    credentials = tuple(
        Credential(name=name, source=source, spec=table[source].spec(), share_identity=True)
        for name, source in CREDENTIALS.items()
    )
    caller = CallerEntry(
        name=CALLER, rules=(Rule(uid=uid),) if uid else (), worker_token=not uid, grants=tuple(CREDENTIALS)
    )
    return Config(
        daemon=DaemonSettings(
            listen=(Address("127.0.0.1", 0),),
            admin=None,
            socket=str(PurePath(runtime_dir) / "broker.sock"),
            runtime_dir=runtime_dir,
        ),
        credentials=credentials,
        callers=(caller,),
        generation=GENERATION,
        zero=True,
    )


def narrowed(config: Config, found: Container[str]) -> Config:
    """The same with only the credentials for which an identity was found."""
    callers = tuple(
        msgspec.structs.replace(caller, grants=tuple(name for name in caller.grants if name in found))
        for caller in config.callers
    )
    kept = tuple(credential for credential in config.credentials if credential.name in found)
    return msgspec.structs.replace(config, credentials=kept, callers=callers)
