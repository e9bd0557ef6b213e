"""Two listeners in one process: rows come in on one, questions are answered on the other."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware

from kscope.config import Address, Settings
from kscope.errors import KscopeError, UsageError
from kscope.server.garbage_collection import collect_when_idle, collect_young_only
from kscope.server.http.auth import LocalNames, RequireToken, is_loopback
from kscope.server.http.connections import Connections, connection_limits
from kscope.server.http.disconnect import CancelOnDisconnect
from kscope.server.http.listener import Server
from kscope.server.http.metrics import CountAnswers, Metrics, metrics_routes
from kscope.server.http.problems import HANDLERS
from kscope.server.http.request_body import Limits
from kscope.server.http.response_compression import Compress
from kscope.server.http.wrong_tokens import WrongTokens
from kscope.server.ingest.fair_queue import FairQueue
from kscope.server.ingest.routes import Ingest, ingest_routes
from kscope.server.read import category_routes, routes, seed_api, static_files
from kscope.server.read.category_routes import CategoryChecks
from kscope.server.read.routes import CachedAnswers
from kscope.server.startup import ReplaceableApp, open_when_ready
from kscope.store.housekeeping import loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from starlette.routing import BaseRoute

    from kscope.server.ingest.live_catalog import LiveCatalog
    from kscope.store.store import Store

_READ_ROUTES = [
    *routes.routes,
    *category_routes.routes,
    *seed_api.routes,
    *static_files.routes,
]
# A thread that comes back from SQLite waits this long for one that decodes. With the usual 5 ms the
# writer would spend its time waiting: it comes back every 500 rows.
_SWITCH_SECONDS = 0.0005
_CANCEL_AGAIN_SECONDS = 0.5

log = logging.getLogger(__name__)


def ingest_app(store: Store, live: LiveCatalog, settings: Settings, metrics: Metrics) -> Starlette:
    # One body of the largest size, with its rows, always has room when it is alone.
    room = max(settings.max_body * 6, 64 * 1024 * 1024)
    limits = Limits(settings.max_body, settings.max_body, room)
    handler = Ingest(live, store.writer, FairQueue(), metrics, limits)
    served = [*ingest_routes(handler), *metrics_routes(store, metrics)]
    return _app(served, settings.ingest, "ingest", settings, metrics)


def read_app(store: Store, live: LiveCatalog, settings: Settings, metrics: Metrics) -> Starlette:
    served = [*metrics_routes(store, metrics), *_READ_ROUTES]
    disconnect = Middleware(CancelOnDisconnect, seconds=settings.query_deadline)
    app = _app(served, settings.read, "read", settings, metrics, disconnect)
    app.state.reader = store.reader
    app.state.live = live
    app.state.settings = settings
    app.state.checks = CategoryChecks()
    app.state.described = CachedAnswers()
    return app


def _app(
    served: Sequence[BaseRoute],
    address: Address,
    scope: str,
    settings: Settings,
    metrics: Metrics,
    *innermost: Middleware,
) -> Starlette:
    wrong = WrongTokens(scope)
    metrics.wrong_tokens.append(wrong)
    middleware = [
        Middleware(CountAnswers, listener=scope, metrics=metrics),
        Middleware(RequireToken, scope=scope, tokens=settings.tokens, wrong=wrong),
    ]
    if is_loopback(address.host) and not settings.tokens:
        middleware.append(Middleware(LocalNames, names=settings.hosts))
    middleware += innermost
    if scope == "read":
        middleware.append(Middleware(Compress))
    return Starlette(routes=served, middleware=middleware, exception_handlers=HANDLERS)


def check_exposure(settings: Settings, *, insecure: bool) -> None:
    """Raise where anyone on the network could write or read."""
    for name, address in (("ingest", settings.ingest), ("read", settings.read)):
        granted = any(name in token.scopes for token in settings.tokens)
        if not is_loopback(address.host) and not granted and not insecure:
            raise UsageError(
                f"{name}: {address} can be reached from other machines, and no token has the scope"
                f" '{name}'. Make one with `kscope token --scope {name}`, listen on 127.0.0.1, or"
                " say --insecure."
            )


async def serve(settings: Settings, announce: Callable[[Address, Address], None]) -> None:
    """Serve until SIGINT or SIGTERM; then finish what is under way, and close the database.

    `announce` is told the listeners' addresses (read, ingest) once both answer from the database.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    collect_young_only()
    with contextlib.ExitStack() as sockets:
        read_socket = sockets.enter_context(_listen(settings.read, "read"))
        ingest_socket = sockets.enter_context(_listen(settings.ingest, "ingest"))
        # Port 0 asks for any that is free: from here on it is known which.
        settings = replace(settings, read=_address(read_socket), ingest=_address(ingest_socket))
        read_placeholder, ingest_placeholder = ReplaceableApp(), ReplaceableApp()
        limits = connection_limits(settings)
        read_connections = Connections("read", limits)
        ingest_connections = Connections("ingest", limits)
        listeners = {
            read_socket: Server(read_placeholder, read_connections, [ingest_connections]),
            ingest_socket: Server(ingest_placeholder, ingest_connections, [read_connections]),
        }
        _stop_on_signals(list(listeners.values()))
        async with (
            _answering(listeners) as ended,
            _running(settings, ended) as (store, live),
        ):
            metrics = Metrics(connections=(read_connections, ingest_connections))
            read_placeholder.app = read_app(store, live, settings, metrics)
            ingest_placeholder.app = ingest_app(store, live, settings, metrics)
            # What is there now stays: no collection needs to look at it again.
            gc.freeze()
            collecting = asyncio.create_task(
                collect_when_idle(lambda: any(map(_busy, listeners.values())))
            )
            announce(settings.read, settings.ingest)
            try:
                await ended
            finally:
                collecting.cancel()


def _busy(server: Server) -> bool:
    return bool(server.server_state.tasks)


@contextlib.asynccontextmanager
async def _answering(
    listeners: Mapping[socket.socket, Server],
) -> AsyncIterator[asyncio.Future[Any]]:
    """Give what is done when the listeners are."""
    tasks = [
        asyncio.create_task(server.serve(sockets=[where])) for where, server in listeners.items()
    ]
    ended = asyncio.gather(*tasks)
    try:
        while not all(server.started for server in listeners.values()):
            if ended.done():
                break
            await asyncio.sleep(0.01)
        yield ended
    except _EndedError:
        log.info("ended before there was a database")
    finally:
        for server in listeners.values():
            server.should_exit = True
        await ended


class _EndedError(Exception):
    """A signal came while the server waited for its database."""


@contextlib.asynccontextmanager
async def _running(
    settings: Settings, ended: asyncio.Future[Any]
) -> AsyncIterator[tuple[Store, LiveCatalog]]:
    store, live = await _opened(settings, ended)
    try:
        tasks = [asyncio.create_task(live.watch()), asyncio.create_task(loop.run(store))]
        try:
            yield store, live
        finally:
            await _end(tasks)
    finally:
        await store.close()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel them until they have ended: a database driver may lose a cancellation on its way."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _opened(settings: Settings, ended: asyncio.Future[Any]) -> tuple[Store, LiveCatalog]:
    opening = asyncio.create_task(open_when_ready(settings))
    await asyncio.wait({opening, ended}, return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        raise _EndedError
    return opening.result()


def _stop_on_signals(servers: Sequence[Server]) -> None:
    def stop() -> None:
        for server in servers:
            # A second signal does not wait for requests under way.
            server.force_exit = server.should_exit
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


def _listen(address: Address, name: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listening = socket.create_server((address.host, address.port), family=family, backlog=1024)
    except OSError as error:
        raise KscopeError(f"{name}: cannot listen on {address}: {error.strerror}") from None
    # Connections inherit it; asyncio does so only where the protocol has a number. Head and body
    # are two writes: on a connection that is kept the body would wait 40 ms for the head's arrival.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _address(listening: socket.socket) -> Address:
    name: Any = listening.getsockname()
    return Address(name[0], name[1])
