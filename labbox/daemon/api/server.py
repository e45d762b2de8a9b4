"""The API's server: a Unix socket, the table of routes, and the one place where errors become answers."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, cast
from urllib.parse import unquote

import msgspec
from aiohttp import web

from labbox.daemon.api.call import BODY_LIMIT, Call, Route
from labbox.daemon.api.callers import ApiCaller, Login, Peer, superuser
from labbox.daemon.api.http import LINE_LIMIT, HttpProtocol, refusal
from labbox.daemon.api.query import check_keys
from labbox.daemon.api.routes import ROUTES
from labbox.daemon.api.services import Services
from labbox.daemon.state import SCOPED_SOCKETS
from labbox.daemon.store.times import now
from labbox.errors import LabboxError
from labbox.model import Scope, narrower
from labbox.wire import encode

log = logging.getLogger("labbox.api")

CONNECTIONS_PER_USER: Final = 256  # a screen takes a handful
SILENCE: Final = 30.0  # seconds in which a new connection has to send its first request
KEEP_ALIVE: Final = 300.0  # seconds that an idle connection is kept
SLOW: Final = 1.0  # seconds; an answer that took longer is logged
STOP_TIME: Final = 2.0  # seconds that requests get to finish when the daemon ends

_PEER: Final = web.RequestKey("peer", Peer)


class Api:
    """Serves `labbox.protocol` on a Unix socket."""

    def __init__(self, services: Services, path: Path) -> None:
        """Keep what is served; `start` opens the socket at `path`."""
        self._services = services
        self._path = path
        self._doors: dict[Path, Scope | None] = {
            path: None,
            **{path.with_name(name): scope for scope, name in SCOPED_SOCKETS.items()},
        }
        app = web.Application(client_max_size=BODY_LIMIT, middlewares=[self._errors])
        for route in ROUTES:
            app.router.add_route(route.method, route.path, self._handler(route))
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=STOP_TIME)
        self._servers: list[asyncio.Server] = []
        self._limits: weakref.WeakKeyDictionary[asyncio.BaseTransport, Scope] = weakref.WeakKeyDictionary()
        self._open: dict[int, weakref.WeakSet[asyncio.Transport]] = {}
        # Asked when a connection comes (later its pid may be another's) and again with each request (the gate
        # may just be writing the login down); what was found once holds.
        self._logins: weakref.WeakKeyDictionary[asyncio.BaseTransport, Login] = weakref.WeakKeyDictionary()
        self._silent: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()
        self._streams: set[asyncio.Task[object]] = set()
        self._asking: dict[str, set[asyncio.Task[object]]] = {}  # requests under way, by person

    async def start(self) -> None:
        """Listen. Whoever holds the state folder's lock owns the sockets, so old ones are leftovers."""
        await self._runner.setup()
        for path, scope in reversed(self._doors.items()):  # the one that clients wait for comes last
            self._servers.append(await self._listen(path, scope))

    async def _listen(self, path: Path, scope: Scope | None) -> asyncio.Server:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        fresh = path.with_name(f".{path.name}.new")
        try:
            fresh.unlink(missing_ok=True)
            sock.bind(str(fresh))
            fresh.chmod(0o666)
            server = await asyncio.get_running_loop().create_unix_server(
                lambda: _Door(self, scope), sock=sock, backlog=512
            )
            fresh.replace(path)  # a client finds either no socket or one that answers
        except OSError as error:
            sock.close()
            raise LabboxError(
                "unavailable",
                f"cannot open the API socket {path}: {error.strerror or error}",
                "the path of the state folder must be short (sockets allow 107 bytes) and writable",
            ) from error
        return server

    async def stop(self) -> None:
        """Take no more requests, end the streams, let the rest finish for a moment."""
        loop = asyncio.get_running_loop()
        for server in self._servers:
            for listening in server.sockets:
                loop.remove_reader(listening.fileno())
        await asyncio.sleep(0)  # one that was just taken in, and has no transport yet, would never be closed
        for server in self._servers:
            server.close()
        for task in self._streams:
            task.cancel()
        await self._runner.cleanup()
        for these in list(self._open.values()):  # one that came in at the last moment is none of the runner's
            for transport in list(these):
                transport.abort()
        for path in self._doors:
            path.unlink(missing_ok=True)

    async def end_requests(self, name: str) -> None:
        """End what somebody who is removed or suspended still asks for, but for the present request."""
        asking = self._asking.get(name, set()) - {asyncio.current_task()}
        for task in asking:
            task.cancel()
        if asking:
            await asyncio.wait(asking, timeout=STOP_TIME)

    def admit(self, transport: asyncio.Transport, scope: Scope | None = None) -> asyncio.Protocol | None:
        """The HTTP protocol for a new connection, or None for one too many of its user."""
        if scope is not None:
            self._limits[transport] = scope
        peer = Peer.of(cast("socket.socket", transport.get_extra_info("socket")))
        uid = peer.uid
        mine = self._open.setdefault(uid, weakref.WeakSet())
        if sum(not other.is_closing() for other in mine) >= CONNECTIONS_PER_USER:
            log.warning("too many API connections: uid=%d", uid)
            return None
        mine.add(transport)
        try:
            login = self._services.login_of(peer.pid)
        except LabboxError:
            return None  # the process has ended
        if login is not None:
            self._logins[transport] = login
        self._silent.add(transport)
        asyncio.get_running_loop().call_later(SILENCE, self._end_silent, weakref.ref(transport))
        server = self._runner.server
        if server is None:
            return None
        return HttpProtocol(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # its documentation has None for none
            auto_decompress=False,  # a kilobyte can hold a gigabyte; nobody who asks us compresses
            keepalive_timeout=KEEP_ALIVE,
            max_line_size=LINE_LIMIT,
            max_field_size=LINE_LIMIT,
        )

    def _end_silent(self, reference: weakref.ref[asyncio.Transport]) -> None:
        transport = reference()
        if transport is not None and transport in self._silent:
            transport.abort()

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            transport = request.transport
            if transport is None:
                raise ConnectionResetError("the caller has gone")
            self._silent.discard(transport)
            caller = await self._caller(request, transport)
            if not caller.may(route.scope):
                raise LabboxError(
                    "forbidden",
                    f"cannot do this with a token of scope {caller.scope}",
                    "log in with a key or a password",
                )
            check_keys([key for key, _ in request.query.items()], route.query)
            task = asyncio.current_task()
            if task is not None and request.method == "GET" and "follow" in request.query:
                self._streams.add(task)
                task.add_done_callback(self._streams.discard)
            if task is not None:
                mine = self._asking.setdefault(caller.account.name, set())
                mine.add(task)
                task.add_done_callback(mine.discard)
            answer = await route.handler(Call(request, caller, self._services, route))
            if isinstance(answer, web.StreamResponse):
                return answer
            return web.Response(body=encode(answer), content_type="application/json", status=route.status)

        return handle

    async def _caller(self, request: web.Request, transport: asyncio.Transport) -> ApiCaller:
        """Whom the kernel names, or for whom an administrator of the box acts."""
        peer = Peer.of(cast("socket.socket", transport.get_extra_info("socket")))
        people = self._services.people
        login = self._logins.get(transport) or self._services.login_of(peer.pid)
        runs_the_box = peer.runs_the_box and login is None
        account = await people.account_by_uid(peer.uid)
        origin = login.origin if login is not None else "local"
        wanted = request.headers.get("Labbox-As")
        runs_the_box = runs_the_box and transport not in self._limits
        if wanted is not None:
            name = unquote(wanted)
            if not name.strip():
                raise LabboxError(
                    "invalid", "cannot act for nobody: Labbox-As is empty", "name a user, or leave it out"
                )
            if not runs_the_box:
                raise LabboxError("forbidden", f"cannot act for {name}: only root on the box may")
            other = await people.account(name)
            if other is None:
                raise LabboxError("not_found", f"cannot act for {name!r}: there is no such user")
            return ApiCaller(other, None, origin, person=True)
        if account is None and runs_the_box:
            return ApiCaller(superuser(peer.uid), None, origin, person=False)
        if account is None:
            raise LabboxError(
                "unauthenticated",
                f"cannot serve uid {peer.uid}: it is not a user of this box",
                "log in to the box over SSH, or ask an administrator for an account",
            )
        account.refuse_barred("answer you", now())
        scope = narrower(self._limits.get(transport), login.scope if login is not None else None)
        if scope is not None:
            account = msgspec.structs.replace(account, admin=False, bound=scope)
        reached = login.reached if login is not None else ("", 0)
        return ApiCaller(account, scope, origin, person=True, reached=reached)

    @web.middleware
    async def _errors(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Every refusal as an `ErrorBody`; a fault of ours is logged and told without its insides."""
        started = time.monotonic()
        response = await self._answer(request, handler)
        # Streams and shells last as long as somebody looks on; only whole answers can be slow.
        if (took := time.monotonic() - started) > SLOW and isinstance(response, web.Response):
            log.info("slow request: %s %s %.1f s", request.method, request.path, took)
        return response

    async def _answer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except LabboxError as error:
            return refusal(error)
        except web.HTTPRequestEntityTooLarge:
            return refusal(
                LabboxError("limit", f"cannot read the request: it is larger than {BODY_LIMIT >> 20} MiB")
            )
        except web.HTTPNotFound:
            return refusal(LabboxError("not_found", f"cannot find {request.path}: there is no such route"))
        except web.HTTPMethodNotAllowed:
            return refusal(LabboxError("usage", f"cannot {request.method} {request.path}"))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:  # the boundary: whatever it is, the caller gets a sentence
            log.exception("request failed: %s %s", request.method, request.path)
            return refusal(
                LabboxError(
                    "internal", "cannot answer: a fault in labbox", "the daemon's log has the details"
                )
            )


class _Door(asyncio.Protocol):
    """Looks at who connects before a byte is read."""

    def __init__(self, api: Api, scope: Scope | None) -> None:
        self._api = api
        self._scope = scope

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a Unix stream socket has a read and write transport")
        http = self._api.admit(transport, self._scope)
        if http is None:
            transport.abort()
            return
        transport.set_protocol(http)
        http.connection_made(transport)
