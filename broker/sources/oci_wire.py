"""One request to Oracle's cloud: one attempt, a bounded answer, no redirect followed.

What any service may answer at any time (patience, failure, a redirect, too much) is raised here; what a refusal means
is for who asked. It knows no credentials: whoever asks signs.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from broker.errors import Denied, IdentityMissing, Malformed, MintError
from broker.schedule import SERVE_FLOOR
from broker.sources.google_errors import LARGEST_SKEW, clock_words
from broker.sources.source import END
from broker.sources.web import TIMEOUT, Heard, is_safe, listening, unreachable

if TYPE_CHECKING:
    from requests import PreparedRequest

LONGEST_LIFETIME = 24 * 3600.0 + LARGEST_SKEW
Region = Annotated[str, Meta(pattern=rf"^[a-z]{{2,4}}(?:-[a-z0-9]{{1,32}}){{1,4}}{END}")]
Url = Annotated[str, Meta(pattern=rf"^https?://[^\s{{}}@?#]+{END}", max_length=512)]
Authority = Callable[["PreparedRequest"], "PreparedRequest"]


class Answered(Heard, frozen=True, kw_only=True):
    """What came back, and what can be said of it in this cloud."""

    @property
    def good(self) -> bool:
        """Whether it is no refusal."""
        return self.status < HTTPStatus.BAD_REQUEST

    @property
    def word(self) -> str | None:
        """The word of a refusal, as OAuth (`error`) or Oracle's services (`code`) say it, where it is one of ours."""
        try:
            said = msgspec.json.decode(self.text.open(), type=_Refusal)
        except msgspec.DecodeError:
            return None
        return said.error or said.code

    def skewed(self) -> MintError | None:
        """The error for clocks too far apart for any signature, else None."""
        if self.skew is None or abs(self.skew) <= LARGEST_SKEW:
            return None
        return IdentityMissing(f"{self.host}: {clock_words(self.skew)}", code="ClockSkewed")

    def malformed(self, what: str) -> MintError:
        """The error for an answer that is no usable credential; `what` is ours."""
        return Malformed(f"{self.host} answered with {what}", code="UnusableAnswer")

    def lifetime(self, expires_at: float) -> float:
        """How long a credential lives that ends then. Raises Malformed for one that nobody could be given."""
        seconds = expires_at - self.now
        if not SERVE_FLOOR <= seconds <= LONGEST_LIFETIME:
            raise self.malformed("what has expired, is about to, or expires absurdly late")
        return seconds


def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None, sign: Authority) -> Answered:
    """One request. Raises Denied for a URL that is not to be asked, Malformed, Throttled or Unreachable."""
    from requests import RequestException

    if not is_safe(url):
        raise Denied("a URL of the credential is neither https nor on this machine", code="UrlRefused")
    with listening() as (session, ear):
        session.trust_env = not url.startswith("http:")  # a proxy cannot know this machine
        try:
            session.request(
                method,
                url,
                headers=dict(headers),
                data=body,
                auth=sign,
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,
            )
        except (RequestException, OSError) as error:  # a bare one where a CA bundle is missing
            raise unreachable(urlsplit(url).hostname or "upstream", error) from None
        answered = Answered(**msgspec.structs.asdict(ear.heard[-1]))
    if trouble := answered.transient():
        raise trouble
    return answered


def url_mistakes(**urls: str | None) -> tuple[tuple[str, str], ...]:
    """Fields with a URL to which secrets would travel in the clear."""
    return tuple(
        (field, "must be https, or http to a loopback address")
        for field, url in urls.items()
        if url and not is_safe(url)
    )


class _Refusal(msgspec.Struct):
    error: Annotated[str, Meta(pattern=rf"^[a-z_]{{1,40}}{END}")] | None = None
    code: Annotated[str, Meta(pattern=rf"^[A-Za-z]{{1,60}}{END}")] | None = None


def decoded(answered: Answered, type_: Any, what: str) -> Any:
    """A good answer's body. Raises Malformed for one of another form; `what` is ours."""
    try:
        return msgspec.json.decode(answered.text.open(), type=type_)
    except msgspec.DecodeError:
        raise answered.malformed(f"something that is no {what}") from None
