"""What an endpoint of the fake Google is given and gives: calls, answers, refusals and injected faults."""

import urllib.parse
from typing import Any

import msgspec


class Call(msgspec.Struct, frozen=True):
    """One request as it came in; field names in lower case."""

    method: str
    target: str
    fields: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Without the query, percent-decoded: generated clients write an e-mail's @ as %40."""
        return urllib.parse.unquote(self.target.partition("?")[0])

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters."""
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2]))

    @property
    def bearer(self) -> str:
        """The bearer token shown, or an empty text."""
        scheme, _, token = self.fields.get("authorization", "").partition(" ")
        return token if scheme == "Bearer" else ""

    def form(self) -> dict[str, str]:
        """A body of form fields; refused unless it says so and names each field once."""
        if self.fields.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise oauth_refusal(400, "invalid_request", "not a form")
        pairs = urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True)
        if len(dict(pairs)) != len(pairs):
            raise oauth_refusal(400, "invalid_request", "a field is doubled")
        return dict(pairs)

    def members(self) -> dict[str, Any]:
        """A body of JSON; refused unless it is an object."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise api_refusal(400, "INVALID_ARGUMENT", "not a JSON object") from error


class Answer(msgspec.Struct, frozen=True):
    """What an endpoint answers."""

    status: int
    body: bytes
    fields: tuple[tuple[str, str], ...] = ()


class Refusal(Exception):
    """An endpoint refuses; `answer` says it the way Google says it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What to do instead of answering: wait `delay` seconds, then this status and body, or the real answer if None.

    `times` is for how many calls; None means until healed.
    """

    status: int | None = None
    body: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    times: int | None = None


def json_answer(status: int, /, *fields: tuple[str, str], **members: object) -> Answer:
    """An answer of JSON."""
    return Answer(status, msgspec.json.encode(members), (("Content-Type", "application/json; charset=UTF-8"), *fields))


def oauth_refusal(status: int, error: str, description: str) -> Refusal:
    """As OAuth's endpoints refuse."""
    return Refusal(json_answer(status, error=error, error_description=description))


def api_refusal(status: int, word: str, message: str) -> Refusal:
    """As Google's APIs refuse."""
    return Refusal(json_answer(status, error={"code": status, "message": message, "status": word}))
