"""aiohttp's server, for the control plane: loaded without the root certificates that its client would want.

Loading it loads aiohttp's client too, which at once reads all root certificates of the machine, twice: 40 ms of a start
and 2 MiB for as long as the daemon lives, which connects to nothing.
"""

import contextlib
import os
from collections.abc import Iterator

__all__ = ["web"]

_WHERE = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # where OpenSSL looks for them; minters get what is really set


@contextlib.contextmanager
def _no_certificates() -> Iterator[None]:
    before = {name: os.environ.pop(name) for name in _WHERE if name in os.environ}
    os.environ.update(dict.fromkeys(_WHERE, os.devnull))
    try:
        yield
    finally:
        for name in _WHERE:
            del os.environ[name]
        os.environ.update(before)


with _no_certificates():
    from aiohttp import web
