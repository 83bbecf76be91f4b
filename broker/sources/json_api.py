"""One request to the JSON API of a store's owner: one attempt, a bounded answer, no redirect followed.

What any API may answer at any time (patience, failure, a redirect, too much) is raised here; what a refusal means is
for the family that asked. It knows no credentials: whoever asks writes the Authorization.
"""

import urllib.parse
from http import HTTPStatus
from typing import Any

import msgspec

from broker import clock
from broker.errors import BrokerError, Denied
from broker.secret import Secret
from broker.sources import web
from broker.sources.http_fields import Arrival


class Answered(Arrival, frozen=True, kw_only=True):
    """What came back: the status, the text, how many seconds it took, and when, by our clock and by upstream's."""

    status: int
    text: Secret
    took: float

    @property
    def good(self) -> bool:
        """Whether it is no refusal."""
        return self.status < HTTPStatus.BAD_REQUEST


def send(method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answered:
    """One request. Raises Denied for a URL that is not to be asked, Malformed, Throttled or Unreachable."""
    if not web.is_safe(url):
        raise Denied("a URL of the API is neither https nor on this machine: correct `api_url`", code="UrlRefused")
    parts = urllib.parse.urlsplit(url)
    began = clock.now()
    with web.listening() as (session, ear):
        session.trust_env = parts.scheme == "https"  # a proxy cannot know this machine
        try:
            session.request(method, url, headers=headers, data=body, timeout=web.TIMEOUT, allow_redirects=False)
        except BrokerError:
            raise
        except OSError as error:  # all that requests raises, and a CA bundle that is missing
            raise web.unreachable(parts.hostname or "upstream", error) from None
    (heard,) = ear.heard
    if trouble := heard.transient():
        raise trouble
    took = clock.now() - began
    return Answered(status=heard.status, text=heard.text, took=took, arrived=heard.arrived, date=heard.date)


def post(url: str, headers: dict[str, str], members: dict[str, Any]) -> Answered:
    """One request with these members as its body. Raises as `send` does."""
    return send("POST", url, {**headers, "Content-Type": "application/json"}, encoded(members))


def encoded(members: dict[str, Any]) -> bytes:
    """A request's body."""
    return msgspec.json.encode(members)
