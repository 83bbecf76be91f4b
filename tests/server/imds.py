"""The worker plane with IMDS on, for the tests of it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.callers.imds_token import ImdsTokens
from broker.config.shape import Config
from broker.model import Facts
from broker.plan import make_book
from tests.made import HOST
from tests.server.plane import Answer, Work
from tests.server.plane import at_work as at_plain_work

T = TypeVar("T")

META = "/latest/meta-data"
ROLES = f"{META}/iam/security-credentials"
REGION = f"{META}/placement/region"
EVERY = (ROLES, f"{ROLES}/", f"{ROLES}/train", f"{ROLES}-extended/train", REGION, "/latest/user-data", "/latest/")
SIX_HOURS = 21_600


def at_work(main: Callable[[Work], Awaitable[T]], cold_wait: float = 5.0) -> T:
    """The same plane with IMDS on."""

    async def with_imds(work: Work) -> T:
        work.reception._identifier._imds_tokens = ImdsTokens()
        work.reception._with_imds = True
        work.upstream.more = {"facts": Facts(account="123456789012", region="eu-west-1")}
        return await main(work)

    return at_plain_work(with_imds, cold_wait=cold_wait)


def put(work: Work, ttl: str = "600", **fields: str) -> bytes:
    """The head that asks for a session token."""
    head = work.request("/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds=ttl, **fields)
    return head.replace(b"GET", b"PUT", 1)


async def session(work: Work, ttl: str = "600") -> str:
    """A session token of whoever connects now."""
    answer = await work.ask(put(work, ttl))
    assert answer.status == 200
    return answer.body.decode()


def reload(work: Work, config: Config) -> None:
    """As the daemon does it."""
    work.desk.swap(make_book(config, HOST))
    work.directory.forget_callers()


async def get(work: Work, path: str, token: str, **fields: str) -> Answer:
    """One request with a session token."""
    return await work.ask(work.request(path, X_aws_ec2_metadata_token=token, **fields))
