"""Requests and leases as the tests of the dialects need them."""

import json
from typing import Any

from broker.head import parse
from broker.model import AccessToken, AwsKeys, Facts, IdToken, Lease, Value
from broker.secret import Secret
from broker.wire import Reply, Request

EXPIRES_AT = 1_790_000_000.75  # 2026-09-21T14:13:20.75Z
EXPIRES_TEXT = "2026-09-21T14:13:20Z"
REQUEST_ID = "0123456789abcdef"
EMAIL = "train@my-project.iam.gserviceaccount.com"
SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write", "openid")


def a_request(target: str, **fields: str) -> Request:
    """A GET as the head parser gives it, without a path token; `metadata_flavor` is Metadata-Flavor."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return parse("\r\n".join([f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode())


def a_lease(value: Value, facts: Facts | None = None, expires_at: float = EXPIRES_AT) -> Lease:
    """A lease of half an hour."""
    issued_at = expires_at - 1800
    return Lease(value, 1, issued_at, expires_at, 100.0, 1900.0, facts or Facts())


def keys(session_token: str = "session") -> AwsKeys:
    """A set of AWS keys."""
    return AwsKeys("ASIAEXAMPLE", Secret("secret/key+"), Secret(session_token))


def access_token(*scopes: str) -> AccessToken:
    """A bearer token."""
    return AccessToken(Secret("ya29.token"), scopes)


def id_token() -> IdToken:
    """An ID token."""
    return IdToken(Secret("head.claims.signature"), "https://a")


def decoded(reply: Reply) -> Any:
    """The body of a JSON reply."""
    assert reply.content_type == "application/json"
    return json.loads(reply.body)


def text(reply: Reply) -> str:
    """The body of a text reply."""
    assert reply.content_type == "text/plain"
    return reply.body.decode()
