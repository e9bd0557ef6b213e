"""Two listeners in one process: one stores rows, the other answers questions."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from kscope.config import Address, Settings
from kscope.declare.model import Catalog
from kscope.errors import UsageError
from kscope.server.garbage_collection import collect_when_idle, collect_young_only
from kscope.server.http.audit import Audit
from kscope.server.http.auth import Access, OwnNames, RequireToken, is_loopback
from kscope.server.http.connections import LISTENERS, Connections, connection_limits
from kscope.server.http.front import Front
from kscope.server.http.kept_apart import KeptApart
from kscope.server.http.listener import Server, address_of, listening_socket
from kscope.server.http.metric_list import Families
from kscope.server.http.metrics import Metrics, families, metrics_routes
from kscope.server.http.problems import HANDLERS
from kscope.server.http.question_deadline import CancelOnDisconnect
from kscope.server.http.quotas import Quotas
from kscope.server.http.request_body import BodyLimits
from kscope.server.http.response_compression import Compress
from kscope.server.http.tls import Certificates
from kscope.server.http.tokens import Tokens
from kscope.server.http.wrong_tokens import WrongTokens
from kscope.server.ingest.fair_queue import FairQueue
from kscope.server.ingest.live_catalog import LiveCatalog
from kscope.server.ingest.routes import Ingest, ingest_routes
from kscope.server.openapi.rows_in import document_route
from kscope.server.part import Part
from kscope.server.read import (
    admin_routes,
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
from kscope.server.service_manager import State, notify
from kscope.server.symbols.fetch import Fetcher
from kscope.server.watching import Watching
from kscope.store.backends.errors import StoreAway, StoreBusy
from kscope.store.heard import HeardHosts
from kscope.store.housekeeping import loop
from kscope.store.housekeeping.clock import is_behind
from kscope.store.open import store_of
from kscope.store.store import Store

_READ_ROUTES = [
    *routes.routes,
    *category_routes.routes,
    *marker_routes.routes,
    *links.routes,
    *admin_routes.routes,
    *api_2016.routes,
    *static_files.routes,
]
# A thread that returns from SQLite waits this long for one that decodes. With the usual 5 ms the
# writer, which returns after each statement, would spend its time waiting.
_SWITCH_SECONDS = 0.0005
_CANCEL_AGAIN_SECONDS = 0.5
# Between two tries to open the database, which may start later than the server.
_FIRST_PAUSE_SECONDS = 1
_LONGEST_PAUSE_SECONDS = 15

# Of the read and of the ingest listener.
Sockets = tuple[socket.socket, socket.socket]
Servers = tuple[Server, Server]
Count = Callable[[], Families]

log = logging.getLogger(__name__)


_ALONE, _NO_TOKENS = Part(), Tokens()


def ingest_app(  # noqa: PLR0913 - the parts of a server
    store: Store,
    live: LiveCatalog,
    settings: Settings,
    metrics: Metrics,
    *,
    tokens: Tokens = _NO_TOKENS,
    part: Part = _ALONE,
    watching: Watching | None = None,
) -> Starlette:
    # One body of the largest size, with its rows, always has room when it is alone.
    room = max(settings.max_body * 6, 64 * 1024 * 1024)
    limits = BodyLimits(settings.max_body)
    quotas = Quotas(part.share, metrics.over_quota)
    metrics.budget = part.budget(room)
    handler = Ingest(
        live,
        store.writer,
        FairQueue(),
        metrics,
        limits,
        metrics.budget,
        quotas,
        settings.accept,
        partial(is_behind, store),
        watching.heard if watching else HeardHosts(),
    )
    receivers = receiver_routes(handler, settings.receive, metrics.received)
    described = document_route(live, settings.receive)
    served = [*ingest_routes(handler), *receivers, *metrics_routes(store, metrics), described]
    wrong = WrongTokens("ingest", part.wrong_tokens)
    access = Access(tokens, wrong, settings.hosts, metrics.refusals(wrong.listener))
    app = _app(served, settings.ingest, access, metrics)
    app.state.audit = Audit(wrong.listener)
    return app


def read_app(  # noqa: PLR0913 - the parts of a server
    store: Store,
    live: LiveCatalog,
    settings: Settings,
    metrics: Metrics,
    *,
    tokens: Tokens = _NO_TOKENS,
    part: Part = _ALONE,
    watching: Watching | None = None,
) -> Starlette:
    served = [*metrics_routes(store, metrics), *_READ_ROUTES]
    disconnect = Middleware(CancelOnDisconnect, seconds=settings.query_deadline)
    wrong = WrongTokens("read", part.wrong_tokens)
    access = Access(tokens, wrong, settings.hosts, metrics.refusals(wrong.listener))
    app = _app(served, settings.read, access, metrics, disconnect, Middleware(Compress))
    app.state.reader = store.reader
    app.state.live = live
    app.state.settings = settings
    app.state.tokens = tokens
    app.state.acts = Audit(wrong.listener)
    app.state.checks = CategoryChecks()
    app.state.links = Links(settings.links)
    app.state.described = CachedAnswers()
    app.state.watching = watching or Watching(store, settings)
    return app


def _app(
    served: Sequence[BaseRoute],
    address: Address,
    access: Access,
    metrics: Metrics,
    *innermost: Middleware,
) -> Starlette:
    metrics.wrong_tokens.append(access.wrong)
    middleware = [Middleware(KeptApart), Middleware(RequireToken, access=access)]
    is_open = is_loopback(address.host) and not access.tokens.are_required
    if is_open or (access.names and access.wrong.listener == "read"):
        names = frozenset(name.lower().rstrip(".") for name in access.names)
        middleware.append(Middleware(OwnNames, names=names, refusals=access.refusals))
    app = Starlette(
        routes=served, middleware=[*middleware, *innermost], exception_handlers=HANDLERS
    )
    # Its redirections name the host and the path that a request has behind a proxy.
    app.router.redirect_slashes = False
    app.state.refusals = access.refusals
    return app


def check_exposure(settings: Settings, *, insecure: bool) -> None:
    """Raise UsageError if anyone on the network could write or read, DeclarationError for a faulty
    file of tokens.
    """
    tokens = Tokens.of(settings)
    for name, address in (("ingest", settings.ingest), ("read", settings.read)):
        if tokens.grant(name) or insecure:
            continue
        make = f"no token has the scope '{name}'. Make one with `kscope token --scope {name}`"
        if not is_loopback(address.host):
            raise UsageError(
                f"{name}: {address} can be reached from other machines, and {make}, listen on"
                " 127.0.0.1, or say --insecure."
            )
        if settings.trusted_proxies or settings.base_path:
            raise UsageError(
                f"{name}: a proxy (trusted_proxies, base_path) passes on requests of other"
                f" machines, and {make}, or if the proxy asks for a password, say --insecure."
            )


async def serve(settings: Settings, announce: Callable[[Address, Address], None]) -> None:
    """Serve until SIGINT or SIGTERM; then finish the requests in progress, and close the database.

    `announce` is called with the listeners' addresses (read, ingest) once the database is open.
    """
    with bound(settings) as (found, sockets):
        servers = servers_on(found, sockets, _ALONE)
        # A second signal does not wait for requests under way.
        stop_on_signals(lambda: stop(servers, at_once=servers[0].should_exit))
        await serve_on(found, servers, _ALONE, lambda _: announce(found.read, found.ingest))


@contextlib.contextmanager
def bound(settings: Settings) -> Iterator[tuple[Settings, Sockets]]:
    """Yield the settings and the listening sockets (read, ingest). Raises KscopeError.

    The settings have the ports that the system chose in place of port 0.
    """
    with contextlib.ExitStack() as stack:
        read = stack.enter_context(listening_socket(settings.read, "read"))
        ingest = stack.enter_context(listening_socket(settings.ingest, "ingest"))
        yield (
            replace(settings, read=address_of(read), ingest=address_of(ingest)),
            (read, ingest),
        )


def servers_on(settings: Settings, sockets: Sockets, part: Part) -> Servers:
    """Return a server for each socket."""
    limits = connection_limits(settings)
    certificates = Certificates(settings.tls) if settings.tls else None
    read, ingest = everyone = [Connections(listener, *limits) for listener in LISTENERS]
    front = Front(settings.base_path, settings.trusted_proxies)
    made = partial(Server, early=part.accepts_early, certificates=certificates, front=front)
    return (
        made(sockets[0], read, everyone, part.crowds[0]),
        made(sockets[1], ingest, everyone, part.crowds[1]),
    )


async def serve_on(
    settings: Settings, servers: Servers, part: Part, ready: Callable[[Count], None]
) -> None:
    """Serve until the servers have ended, and close the database.

    `ready` is called once the database is open, with a function that returns the counts so far.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    collect_young_only()
    tokens = Tokens.of(settings)
    read, ingest = servers
    async with _answering(servers) as ended:
        opened = await _opened(settings, part, ended)
        if opened is None:
            log.info("stopped before the database was open")
            return
        watching = Watching(opened[0], settings, reads_figures=part.keeps_house)
        files = [watching.run(), tokens.watch(), *(each.watch() for each in _certificates(servers))]
        async with _in_background(*opened, settings, servers, part, *files):
            connections = [server.connections for server in servers]
            metrics = Metrics(connections, whole=part.whole, further=watching.families)
            read.begin(
                read_app(*opened, settings, metrics, tokens=tokens, part=part, watching=watching)
            )
            ingest.begin(
                ingest_app(*opened, settings, metrics, tokens=tokens, part=part, watching=watching)
            )
            # The objects that exist now stay: no collection needs to look at them again.
            gc.freeze()
            ready(lambda: [*families(opened[0], metrics)])
            await ended


def _certificates(servers: Servers) -> set[Certificates]:
    return {server.certificates for server in servers if server.certificates is not None}


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
    settings: Settings, part: Part, ended: asyncio.Future[Any]
) -> tuple[Store, LiveCatalog] | None:
    """Wait for the database; return None if the listeners end first."""
    opening = asyncio.create_task(_open_when_ready(settings, part))
    await asyncio.wait({opening, ended}, return_when=asyncio.FIRST_COMPLETED)
    if opening.done():
        return opening.result()
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    return None


async def _open_when_ready(settings: Settings, part: Part) -> tuple[Store, LiveCatalog]:
    """Open the store, repeatedly while the database is away. Raises StoreError."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await _opened_once(settings, part)
        except (StoreAway, StoreBusy) as error:
            log.warning("%s; retrying in %d s", error, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


async def _opened_once(settings: Settings, part: Part) -> tuple[Store, LiveCatalog]:
    store = await store_of(settings, Catalog(()), part.new_texts(settings))
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
    store: Store,
    live: LiveCatalog,
    settings: Settings,
    servers: Servers,
    part: Part,
    *further: Coroutine[Any, Any, None],
) -> AsyncIterator[None]:
    """Run the tasks beside the listeners; at the end cancel them, and close the store."""
    work = (
        live.watch(),
        *loop.works(store, keeps_house=part.keeps_house),
        Fetcher(store, settings.symbols).run(),
        collect_when_idle(lambda: any(server.server_state.tasks for server in servers)),
        *further,
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


def stop(servers: Servers, *, at_once: bool) -> None:
    """Let the servers end, after requests under way or `at_once`."""
    for server in servers:
        server.force_exit = server.force_exit or at_once
        server.should_exit = True


def stop_on_signals(ending: Callable[[], None]) -> None:
    def stopping() -> None:
        notify(State.STOPPING)
        ending()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping)
