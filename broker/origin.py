"""Where a request comes from, as far as its head tells: nothing forwarded, from a browser, or meant for another host.

Looked at before identity is. Pure: fields, and the address that the connection was accepted on; no socket, no policy.
"""

import functools
import ipaddress

from broker.errors import Refused
from broker.wire import Request

# Sent by browsers and by whatever forwards for somebody else; never by an SDK that asks for its own credentials.
_FOREIGN = frozenset({"x-real-ip", "via", "origin", "referer"})
_FOREIGN_PARTS = ("forwarded", "sec-fetch-")  # anywhere in a name: X-Forwarded-For, X-Original-Forwarded-For, Forwarded


def refuse_forwarded(request: Request, accepted_on: tuple[str, int]) -> None:
    """Raise Refused (403) unless the request was sent straight to `accepted_on`, the connection's own local address.

    `accepted_on` is the literal IP address and the port of the accepted socket, never those of the listener, which may
    be a wildcard.
    """
    names = " ".join(request.fields)
    if _FOREIGN_PARTS[0] in names or _FOREIGN_PARTS[1] in names or not _FOREIGN.isdisjoint(request.fields):
        raise Refused(403, "Forwarded", "forwarded requests and browsers are not answered; ask directly")
    if request.fields["host"].lower() not in _own_names(accepted_on):
        raise Refused(403, "ForeignHost", "the Host field is not the address that was connected to; send that one")


@functools.lru_cache(maxsize=64)
def _own_names(accepted_on: tuple[str, int]) -> frozenset[str]:
    """Every Host that means this address: with and without the port, `localhost` on loopback, IPv6 in brackets."""
    host, port = accepted_on
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped  # an IPv4 connection to a listener for both
    names = [f"[{address}]" if isinstance(address, ipaddress.IPv6Address) else str(address)]
    if address.is_loopback:
        names.append("localhost")
    return frozenset(name + suffix for name in names for suffix in ("", f":{port}"))
