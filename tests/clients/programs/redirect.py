"""For hosts that are fixed in a client's code: their names lead to a fake on this machine, and nothing else changes.

TLS is as ever: the fake has to show a certificate for the name, by an authority that the environment trusts.
"""

import socket
import urllib.parse


def redirect(endpoint, *names):
    """Whoever looks up one of these names, or one below `.name`, is sent to the endpoint's address and port."""
    there, before = urllib.parse.urlsplit(endpoint), socket.getaddrinfo

    def found(host, port, *how, **options):
        if isinstance(host, str) and any(host == name or (name[0] == "." and host.endswith(name)) for name in names):
            host, port = there.hostname, there.port
        return before(host, port, *how, **options)

    socket.getaddrinfo = found
