"""The control plane, on aiohttp: the Unix socket for people and commands, by peer uid; health and metrics for probes.

It decides who may ask what and leaves the doing to the parts that it is given.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from broker import control_api as api
from broker.callers.accounts import Account
from broker.details import SocketAnswered
from broker.errors import BrokerError, ConfigError, NotReady, Refused, in_public
from broker.model import Want
from broker.secret import Secret
from broker.server.clerk import Clerk
from broker.server.inquiry import Inquiry
from broker.server.issuer import Issuer
from broker.server.sockets import peer_session, peer_uid
from broker.server.web import web

BODY_DEADLINE = 5.0
AT_ONCE = 100  # tokens that are revoked before anybody else is served
COLD_WAIT = 35.0  # a command waits for a mint as long as one may take
_NO_STORE = {"Cache-Control": "no-store"}
_T = TypeVar("_T")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The control API's routes over a Clerk. `kept` returns once what has changed of tokens survives a restart."""

    def __init__(
        self, clerk: Clerk, issuer: Issuer, inquiry: Inquiry, kept: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._clerk = clerk
        self._issuer = issuer
        self._inquiry = inquiry
        self._kept = kept

    def socket_app(self) -> web.Application:
        """The application on the Unix socket."""
        app = web.Application(middlewares=[self._logged, _problems, self._audited], client_max_size=64 * 1024)
        app.add_routes(
            [
                web.get("/status", self._status),
                web.get("/whoami", self._whoami),
                web.post("/whoami", self._who_is_worker),
                web.post("/explain", self._explain),
                web.get("/denials/{id}", self._denial),
                web.get("/readyz", self._ready_by_name),
                web.get("/lease/{name}", self._lease),
                web.post("/worker", self._worker),
                web.post("/worker/claim", self._claim),
                web.post("/tokens", self._issue),
                web.get("/tokens", self._tokens),
                web.delete("/tokens/{id}", self._revoke),
                web.post("/tokens/revoke", self._revoke_many),
                web.post("/refresh/{name}", self._refresh),
                web.post("/reload", self._reload),
            ]
        )
        return app

    def admin_app(self) -> web.Application:
        """The application on the admin address: no tokens, only counts and metrics; these name credentials."""
        app = web.Application(middlewares=[_problems], client_max_size=1024)
        app.add_routes(
            [
                web.get("/healthz", _healthy),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._metrics),
            ]
        )
        return app

    @web.middleware
    async def _logged(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        began, uid, status = asyncio.get_running_loop().time(), _peer(request), None
        try:
            response = await handler(request)
            status = response.status
        finally:
            took, route = asyncio.get_running_loop().time() - began, request.match_info.route.resource
            path, name = route.canonical if route else "unknown", request.match_info.get("name")
            self._inquiry.answered(SocketAnswered(request.method, path, status, uid, took, name))
        return response

    @web.middleware
    async def _audited(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except BrokerError as error:
            self._inquiry.refused(error, _peer(request), request.match_info.get("name"))
            raise await self._shown(error, request) from None

    async def _shown(self, error: BrokerError, request: web.Request) -> BrokerError:
        """The error as who asks may read it."""
        public = in_public(error)
        if public is error or self._clerk.rights.is_operator(await self._asking(request)):
            return error
        return public

    async def _asking(self, request: web.Request) -> Account:
        uid = _peer(request)
        if uid is None:
            raise Refused(
                403, "AccessDenied", "the kernel does not say who you are: ask from outside your user namespace"
            )
        assert request.transport is not None
        if self._clerk.is_minter(peer_session(request.transport.get_extra_info("socket"))):
            raise Refused(403, "AskingItself", "the broker's own identity cannot come from the broker: see its profile")
        return await self._clerk.directory.account_soon(uid)

    async def _status(self, request: web.Request) -> web.Response:
        return _json(self._clerk.status(await self._asking(request), self._issuer))

    async def _whoami(self, request: web.Request) -> web.Response:
        return _json(self._clerk.who(await self._asking(request)))

    async def _who_is_worker(self, request: web.Request) -> web.Response:
        account, order = await self._asking(request), await _body(request, api.WhoOrder)
        return _json(self._inquiry.worker(account, order))

    async def _explain(self, request: web.Request) -> web.Response:
        account, order = await self._asking(request), await _body(request, api.ExplainOrder)
        named = None if order.uid is None else await self._clerk.directory.account_soon(order.uid)
        await asyncio.get_running_loop().run_in_executor(None, self._inquiry.read)
        return _json(self._inquiry.explain(account, order, named))

    async def _denial(self, request: web.Request) -> web.Response:
        return _json(self._inquiry.denial(await self._asking(request), request.match_info["id"]))

    async def _tokens(self, request: web.Request) -> web.Response:
        return _json(self._issuer.seen_by(await self._asking(request)))

    async def _issue(self, request: web.Request) -> web.Response:
        account, order = await self._asking(request), await _body(request, api.TokenOrder)
        bound = None if order.uid is None else await self._clerk.directory.account_soon(order.uid)
        return _json(self._issuer.issue(account, order, bound), 201)

    async def _revoke(self, request: web.Request) -> web.Response:
        revoked = self._issuer.revoke(await self._asking(request), request.match_info["id"])
        await self._gone()
        return _json(revoked)

    async def _revoke_many(self, request: web.Request) -> web.Response:
        account, order = await self._asking(request), await _body(request, api.RevokeOrder)
        chosen = self._issuer.chosen(account, order)
        for first in range(0, len(chosen.ids), AT_ONCE):
            self._issuer.end(account, chosen.ids[first : first + AT_ONCE])
            await asyncio.sleep(0)  # workers are answered between
        await self._gone()
        return _json(chosen)

    async def _gone(self) -> None:
        if self._kept is not None:
            await self._kept()  # a daemon that is killed now must not know them again after its restart

    async def _reload(self, request: web.Request) -> web.Response:
        generation = await self._clerk.reload(await self._asking(request))
        return _json({"generation": generation})

    async def _refresh(self, request: web.Request) -> web.Response:
        account, order = await self._asking(request), await _body(request, api.RefreshOrder)
        code = Secret(order.mfa_code) if order.mfa_code else None
        flights = self._clerk.refresh(account, request.match_info["name"], code, order.callers)
        try:
            await asyncio.wait_for(asyncio.gather(*(flight.over() for flight in flights)), COLD_WAIT)
        except TimeoutError:
            raise NotReady("upstream has not answered yet; see credbroker status", retry_after=5.0) from None
        for flight in flights:
            if flight.error is not None:
                raise flight.error
        return _json(self._clerk.rows(account, [flight.keeper for flight in flights]))

    async def _lease(self, request: web.Request) -> web.Response:
        """The lease that the asking user is granted under this name, as `/env/NAME` would give it."""
        account, want = await self._asking(request), Want(None, request.match_info["name"])
        deadline = asyncio.get_running_loop().time() + COLD_WAIT
        while True:
            found = self._clerk.lease(account, want)
            if isinstance(found, bytes):
                return web.Response(body=found, content_type="application/json", headers=_NO_STORE)
            try:
                await asyncio.wait_for(found.over(), deadline - asyncio.get_running_loop().time())
            except TimeoutError:
                raise NotReady("nothing is minted yet; see credbroker status", retry_after=5.0) from None

    async def _worker(self, request: web.Request) -> web.StreamResponse:
        """A worker's tokens and all that its environment needs. Held ones end when this connection does."""
        account, order = await self._asking(request), await _body(request, api.WorkerOrder)
        if not order.hold:
            return _json(self._issuer.engage(account, order), 201)
        self._not_stopping()
        return await self._hold(request, self._issuer.engage(account, order))

    async def _claim(self, request: web.Request) -> web.StreamResponse:
        """After a restart: a worker's tokens are held by this connection from now on."""
        account, order = await self._asking(request), await _body(request, api.ClaimOrder)
        self._not_stopping()
        return await self._hold(request, self._issuer.claim(account, order))

    def _not_stopping(self) -> None:
        if self._clerk.stopping.is_set():
            raise NotReady("the daemon is stopping; ask the next one", retry_after=1.0)

    async def _hold(self, request: web.Request, worker: api.Worker | api.Claimed) -> web.StreamResponse:
        """Tell it, then hold the tokens until either end closes; those that we leave behind wait to be claimed."""
        response = web.StreamResponse(headers={"Content-Type": "application/json", **_NO_STORE})
        try:
            await response.prepare(request)
            await response.write(msgspec.json.encode(worker) + b"\n")
            await self._clerk.stopping.wait()
        finally:
            if not self._clerk.stopping.is_set():
                self._issuer.dismiss(worker)
        return response

    async def _ready(self, _: web.Request) -> web.Response:
        return self._readiness(len)

    async def _ready_by_name(self, _: web.Request) -> web.Response:
        return self._readiness(tuple)

    def _readiness(self, told: Callable[[tuple[str, ...]], object]) -> web.Response:
        missing, degraded = self._clerk.missing(), self._clerk.degraded()
        body = {"ready": not missing, "missing": told(missing), "degraded": told(degraded)}
        return _json(body, 503 if missing else 200)

    async def _metrics(self, _: web.Request) -> web.Response:
        text = await asyncio.get_running_loop().run_in_executor(None, self._clerk.scrape)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _peer(request: web.Request) -> int | None:
    """Who is at the other end, if he is still there."""
    return peer_uid(request.transport.get_extra_info("socket")) if request.transport is not None else None


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


@web.middleware
async def _problems(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Our errors as JSON, others as a plain 500: no traceback and no value ever leaves."""
    try:
        return await handler(request)
    except ConfigError as error:
        places = tuple((mistake.place, mistake.text) for mistake in error.mistakes)
        return _problem(422, api.Problem(code=error.code, message=error.advice, exit_status=2, mistakes=places))
    except BrokerError as error:
        problem = api.Problem(code=error.code, message=error.advice, exit_status=error.exit_status)
        return _problem(error.status, problem, error.retry_after)
    except web.HTTPException as error:
        return _problem(error.status, api.Problem(code="BadRequest", message=error.reason))


def _problem(status: int, problem: api.Problem, retry_after: float | None = None) -> web.Response:
    answer = _json(problem, status)
    if retry_after is not None:
        answer.headers["Retry-After"] = str(max(math.ceil(retry_after), 1))
    return answer


def _json(value: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value) + b"\n"
    return web.Response(body=body, status=status, content_type="application/json", headers=_NO_STORE)


async def _body(request: web.Request, kind: type[_T]) -> _T:
    try:
        async with asyncio.timeout(BODY_DEADLINE):
            body = await request.read()
        return msgspec.json.decode(body, type=kind)
    except TimeoutError:
        raise Refused(408, "RequestTimeout", "the request's body did not come; send it at once") from None
    except msgspec.MsgspecError:
        raise Refused(400, "BadRequest", "the request's body is not what this path takes") from None
