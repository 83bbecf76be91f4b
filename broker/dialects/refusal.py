"""How a dialect says no: what all of them share, and the shape for where no client's protocol has one. Pure."""

import math
from http import HTTPStatus

from broker.errors import BrokerError
from broker.wire import Reply, json_body

_HINT = "send a worker token in the Authorization field; `credbroker env` prints where a worker has its own"
_PATIENCE = frozenset({429, 503})


def message(error: BrokerError, request_id: str, hint: str) -> str:
    """What a person reads; `hint` tells who is not identified (401) what to set. The id finds the audit line."""
    advice = f"{error.advice}; {hint}" if error.status == HTTPStatus.UNAUTHORIZED else error.advice
    return f"{advice} (request {request_id})"


def status_for_aws(error: BrokerError) -> int:
    """The status that clients of AWS are told: 503 for 429, which AWS's own endpoints never give."""
    return 503 if error.status == HTTPStatus.TOO_MANY_REQUESTS else error.status


def retry_after(error: BrokerError) -> tuple[tuple[str, str], ...]:
    """The header of a refusal that asks for patience and knows for how long: whole seconds, 1 or more."""
    if error.retry_after is None or error.status not in _PATIENCE:
        return ()
    return (("Retry-After", str(max(1, math.ceil(error.retry_after)))),)


def plain(error: BrokerError, request_id: str) -> Reply:
    """A refusal as flat JSON."""
    allow = (("Allow", "GET"),) if error.status == HTTPStatus.METHOD_NOT_ALLOWED else ()
    body = json_body(error=error.code, message=message(error, request_id, _HINT), request=request_id)
    return Reply(error.status, body, headers=retry_after(error) + allow)
