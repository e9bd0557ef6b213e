"""Two listeners in one process: one stores rows, the other answers questions."""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from kscope.config import Address, Settings
from kscope.declare.model import Catalog
from kscope.errors import UsageError
from kscope.server.garbage_collection import collect_when_idle, collect_young_only
from kscope.server.http.auth import LocalNames, RequireToken, is_loopback
from kscope.server.http.connections import Connections, connection_limits
from kscope.server.http.listener import Server, address_of, listening_socket
from kscope.server.http.memory_budget import Budget
from kscope.server.http.metrics import Metrics, metrics_routes
from kscope.server.http.problems import HANDLERS
from kscope.server.http.question_deadline import CancelOnDisconnect
from kscope.server.http.request_body import BodyLimits
from kscope.server.http.response_compression import Compress
from kscope.server.http.wrong_tokens import WrongTokens
from kscope.server.ingest.fair_queue import FairQueue
from kscope.server.ingest.live_catalog import LiveCatalog
from kscope.server.ingest.routes import Ingest, ingest_routes
from kscope.server.read import (
    api_2016,
    category_routes,
    links,
    marker_routes,
    routes,
    static_files,
)
from kscope.server.read.category_routes import CategoryChecks
from kscope.server.read.links import Links
from kscope.server.read.routes import CachedAnswers
from kscope.server.receive.routes import receiver_routes
from kscope.server.symbols.fetch import Fetcher
from kscope.store.backends.errors import StoreAway, StoreBusy
from kscope.store.housekeeping import loop
from kscope.store.open import store_of
from kscope.store.store import Store
from kscope.store.write.cardinality import NewTextLimits, NewTexts

_READ_ROUTES = [
    *routes.routes,
    *category_routes.routes,
    *marker_routes.routes,
    *links.routes,
    *api_2016.routes,
    *static_files.routes,
]
# A thread that returns from SQLite waits this long for one that decodes. With the usual 5 ms the
# writer, which returns every 500 rows, would spend its time waiting.
_SWITCH_SECONDS = 0.0005
_CANCEL_AGAIN_SECONDS = 0.5
# Between two tries to open the database, which may start later than the server.
_FIRST_PAUSE_SECONDS = 1
_LONGEST_PAUSE_SECONDS = 15

log = logging.getLogger(__name__)


def ingest_app(store: Store, live: LiveCatalog, settings: Settings, metrics: Metrics) -> Starlette:
    # One body of the largest size, with its rows, always has room when it is alone.
    room = max(settings.max_body * 6, 64 * 1024 * 1024)
    limits = BodyLimits(settings.max_body)
    handler = Ingest(live, store.writer, FairQueue(), metrics, limits, Budget(room))
    receivers = receiver_routes(handler, settings.receive, metrics.received)
    served = [*ingest_routes(handler), *receivers, *metrics_routes(store, metrics)]
    return _app(served, settings.ingest, "ingest", settings, metrics)


def read_app(store: Store, live: LiveCatalog, settings: Settings, metrics: Metrics) -> Starlette:
    served = [*metrics_routes(store, metrics), *_READ_ROUTES]
    disconnect = Middleware(CancelOnDisconnect, seconds=settings.query_deadline)
    app = _app(served, settings.read, "read", settings, metrics, disconnect, Middleware(Compress))
    app.state.reader = store.reader
    app.state.live = live
    app.state.settings = settings
    app.state.checks = CategoryChecks()
    app.state.links = Links(settings.links)
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
    middleware = [Middleware(RequireToken, scope=scope, tokens=settings.tokens, wrong=wrong)]
    if is_loopback(address.host) and not settings.tokens:
        middleware.append(Middleware(LocalNames, names=settings.hosts))
    return Starlette(
        routes=served, middleware=[*middleware, *innermost], exception_handlers=HANDLERS
    )


def check_exposure(settings: Settings, *, insecure: bool) -> None:
    """Raise UsageError if anyone on the network could write or read."""
    for name, address in (("ingest", settings.ingest), ("read", settings.read)):
        granted = any(name in token.scopes for token in settings.tokens)
        if not is_loopback(address.host) and not granted and not insecure:
            raise UsageError(
                f"{name}: {address} can be reached from other machines, and no token has the scope"
                f" '{name}'. Make one with `kscope token --scope {name}`, listen on 127.0.0.1, or"
                " say --insecure."
            )


async def serve(settings: Settings, announce: Callable[[Address, Address], None]) -> None:
    """Serve until SIGINT or SIGTERM; then finish the requests in progress, and close the database.

    `announce` is called with the listeners' addresses (read, ingest) once the database is open.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    collect_young_only()
    with contextlib.ExitStack() as sockets:
        read_socket = sockets.enter_context(listening_socket(settings.read, "read"))
        ingest_socket = sockets.enter_context(listening_socket(settings.ingest, "ingest"))
        # The system chooses a port in place of port 0.
        settings = replace(settings, read=address_of(read_socket), ingest=address_of(ingest_socket))
        limits = connection_limits(settings)
        connections = Connections("read", *limits), Connections("ingest", *limits)
        read = Server(read_socket, connections[0], connections)
        ingest = Server(ingest_socket, connections[1], connections)
        _stop_on_signals((read, ingest))
        async with _answering((read, ingest)) as ended:
            opened = await _opened(settings, ended)
            if opened is None:
                log.info("stopped before the database was open")
                return
            async with _in_background(*opened, settings, (read, ingest)):
                metrics = Metrics(connections)
                read.app = read_app(*opened, settings, metrics)
                ingest.app = ingest_app(*opened, settings, metrics)
                # The objects that exist now stay: no collection needs to look at them again.
                gc.freeze()
                announce(settings.read, settings.ingest)
                await ended


@contextlib.asynccontextmanager
async def _answering(servers: Sequence[Server]) -> AsyncIterator[asyncio.Future[Any]]:
    """Yield a future that is done when the listeners have ended."""
    ended = asyncio.gather(*(asyncio.create_task(server.serve()) for server in servers))
    try:
        yield ended
    finally:
        for server in servers:
            server.should_exit = True
        await ended


async def _opened(
    settings: Settings, ended: asyncio.Future[Any]
) -> tuple[Store, LiveCatalog] | None:
    """Wait for the database; return None if the listeners end first."""
    opening = asyncio.create_task(_open_when_ready(settings))
    await asyncio.wait({opening, ended}, return_when=asyncio.FIRST_COMPLETED)
    if opening.done():
        return opening.result()
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    return None


async def _open_when_ready(settings: Settings) -> tuple[Store, LiveCatalog]:
    """Open the store, repeatedly while the database is away. Raises StoreError."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await _opened_once(settings)
        except (StoreAway, StoreBusy) as error:
            log.warning("%s; retrying in %d s", error, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


async def _opened_once(settings: Settings) -> tuple[Store, LiveCatalog]:
    limits = NewTextLimits(
        NewTexts(settings.new_stacks_per_hour), NewTexts(settings.new_strings_per_hour)
    )
    store = await store_of(settings, Catalog(()), limits)
    await store.connect()
    try:
        live = LiveCatalog(settings.categories, store)
        await live.begin()
    except BaseException:
        await store.close()
        raise
    return store, live


@contextlib.asynccontextmanager
async def _in_background(
    store: Store, live: LiveCatalog, settings: Settings, servers: Sequence[Server]
) -> AsyncIterator[None]:
    """Run the tasks beside the listeners; at the end cancel them, and close the store."""
    work = (
        live.watch(),
        *loop.works(store),
        Fetcher(store, settings.symbols).run(),
        collect_when_idle(lambda: any(server.server_state.tasks for server in servers)),
    )
    tasks = list(map(asyncio.create_task, work))
    try:
        yield
    finally:
        try:
            await _cancelled(tasks)
        finally:
            await store.close()


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: a database driver can lose a cancellation."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)


def _stop_on_signals(servers: Sequence[Server]) -> None:
    def stop() -> None:
        for server in servers:
            # A second signal does not wait for requests under way.
            server.force_exit = server.should_exit
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
