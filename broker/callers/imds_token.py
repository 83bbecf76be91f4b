"""IMDSv2 tokens: what a client gets for its PUT and shows at each GET after it. Pure: time comes in, no clock is read.

None is kept. A token is its own expiry and an HMAC-SHA256 over that and the uid, under a key that each start of the
daemon makes anew: there is no table to flood, and a restart ends them all (401, and clients ask for another).
"""

import hmac
import secrets
from base64 import urlsafe_b64encode

from broker.secret import Secret

PREFIX = "cbi_"
LENGTH = 59  # the prefix, 12 hexadecimal digits of expiry, 43 URL-safe characters of HMAC

_EXPIRY = slice(4, 16)
_KEY_BYTES = 32


class ImdsTokens:
    """Issues and knows the tokens of one run of the daemon. `now` is on the boot clock."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes | None = None) -> None:
        self._keyed = hmac.new(key or secrets.token_bytes(_KEY_BYTES), digestmod="sha256")

    def issue(self, uid: int, ttl: int, now: float) -> Secret:
        """A token that is good for `ttl` seconds on connections that the kernel attests as this uid's."""
        return Secret(self._text(uid, int((now + ttl) * 1000)))

    def holds(self, text: str, uid: int, now: float) -> bool:
        """Whether this is, to the letter, a token that was issued for the uid and has not expired."""
        try:
            ends = int(text[_EXPIRY], 16)
        except ValueError:
            return False
        # Made again and compared whole, so that no other spelling of the same token passes.
        same = hmac.compare_digest(text.encode("utf-8", "surrogatepass"), self._text(uid, ends).encode())
        return same and now * 1000 < ends

    def _text(self, uid: int, ends: int) -> str:
        """The token of a uid that ends at that millisecond of the boot clock."""
        keyed = self._keyed.copy()
        keyed.update(f"{uid} {ends}".encode())
        return f"{PREFIX}{ends:012x}{urlsafe_b64encode(keyed.digest()).decode().rstrip('=')}"
