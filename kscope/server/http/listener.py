"""A uvicorn server that accepts only as many connections as its limits and the system allow."""

import asyncio
import contextlib
import logging
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uvicorn
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kscope.config import Address
from kscope.errors import KscopeError
from kscope.server.http.connections import Connections, address_group
from kscope.server.http.crowd import AWAY, Crowd
from kscope.server.http.front import Front
from kscope.server.http.log_throttle import ThrottledLog
from kscope.server.http.problems import problem, raw_problem
from kscope.server.http.protocol import BoundedProtocol
from kscope.server.http.request_id import with_request_id
from kscope.server.http.tls import HANDSHAKE_SECONDS, SHUTDOWN_SECONDS, Certificates

# New connections of one listener before others get their turn.
_AT_A_TIME = 16
# In seconds, before the next try: after a file was freed, and if there was none to free.
_SHORT_PAUSE = 0.01
_LONG_PAUSE = 0.5
# So long a process leaves a connection to others that have fewer.
_TURN = 0.005
_GRACE_SECONDS = 10

_ALONE = Front()

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """One listener. begin() says which app answers its requests; until then they are answered with
    503, or if it is not `early`, it accepts no connection.

    `everyone` has the connections of all listeners. app.serve() handles the process's signals.
    The server accepts connections itself; asyncio's own acceptor tries a thousand times a second
    without free files.
    """

    def __init__(  # noqa: PLR0913 - what a listener has
        self,
        listening: socket.socket,
        connections: Connections,
        everyone: Sequence[Connections],
        crowd: Crowd,
        *,
        early: bool = True,
        certificates: Certificates | None = None,
        front: Front = _ALONE,
    ) -> None:
        super().__init__(_config(self._answer))
        self._app: ASGIApp = _starting
        self._accepts = early
        self._socket = listening
        self.connections = connections
        self._everyone = everyone
        self._crowd = crowd
        self.certificates = certificates
        self._front = front
        self._connecting: set[asyncio.Task[None]] = set()
        self._throttled = ThrottledLog(log)
        self._pause: asyncio.TimerHandle | None = None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._front.answer(self._identified, scope, receive, send)

    async def _identified(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Behind the proxy: the client of the log is the one that it names.
        await with_request_id(self._app, scope, receive, send)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        del sockets
        self.servers = [self]  # type: ignore[list-item]
        if self._accepts:
            self._resume()
        self.started = True

    def begin(self, app: ASGIApp) -> None:
        """From now on the app answers."""
        self._app = app
        if not self._accepts and self._socket.fileno() >= 0:
            self._accepts = True
            self._resume()

    async def on_tick(self, counter: int) -> bool:
        self.connections.sweep()
        if self._accepts:
            self._crowd.note(len(self.connections))
        return await super().on_tick(counter)

    def close(self) -> None:
        self._crowd.note(AWAY)
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        if self._pause:
            self._pause.cancel()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def _resume(self) -> None:
        asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        self._accept_some(in_turn=True)

    def _accept_late(self) -> None:
        """Accept connections that the others have left."""
        self._resume()
        self._accept_some(in_turn=False)

    def _accept_some(self, *, in_turn: bool) -> None:
        for _ in range(_AT_A_TIME):
            self._crowd.note(len(self.connections))
            if in_turn and self._crowd.is_fuller():
                self._rest(_TURN, self._accept_late)
                return
            try:
                accepted, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._back_off(error)
                return
            accepted.settimeout(0)
            self._take(accepted, str(peer[0]))

    def _back_off(self, error: OSError) -> None:
        """Out of files or memory: wait, and let a connection that waits for its client go.

        It is one of the listener that has the most.
        """
        if not self._someone_waits():
            return  # The system says so even if there is nothing to accept.
        listener = self.connections.listener
        self._throttled.warning(f"{listener}: no connection can be accepted: {error.strerror}")
        most_first = sorted(self._everyone, key=len, reverse=True)
        freed = any(each.make_room() for each in most_first)
        self._rest(_SHORT_PAUSE if freed else _LONG_PAUSE, self._resume)

    def _rest(self, seconds: float, then: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        self._pause = loop.call_later(seconds, then)

    def _someone_waits(self) -> bool:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def _take(self, accepted: socket.socket, host: str) -> None:
        # The connections of a proxy are those of many clients.
        address = "" if self._front.trusts(host) else address_group(host)
        protocol = BoundedProtocol(self.config, self.server_state, self.connections, address)
        if not self.connections.admit(protocol):
            with accepted, contextlib.suppress(OSError):
                if self.certificates is None:
                    accepted.send(_BUSY)
            return
        task = asyncio.create_task(self._connect(accepted, protocol))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, accepted: socket.socket, protocol: BoundedProtocol) -> None:
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {}
        if self.certificates is not None:
            options = {
                "ssl": self.certificates.context(self.connections.listener),
                "ssl_handshake_timeout": HANDSHAKE_SECONDS,
                "ssl_shutdown_timeout": SHUTDOWN_SECONDS,
            }
        try:
            await loop.connect_accepted_socket(lambda: protocol, accepted, **options)
        except OSError:
            # Of the connection, or of TLS: the client does not speak it, or is not trusted.
            self.connections.leave(protocol)
            accepted.close()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        interface="asgi3",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        # See front.py.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


async def _starting(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as long as there is no database. The process is well, so it needs no restart."""
    if scope["path"] == "/healthz":
        answer: Response = PlainTextResponse("ok\n")
    else:
        headers = {"Retry-After": "1"}
        answer = problem(503, "the server waits for its database", headers=headers)
    await answer(scope, receive, send)


_BUSY = raw_problem(503, "too many connections: try again in a moment", [(b"retry-after", b"1")])


def listening_socket(address: Address, name: str) -> socket.socket:
    """Return a socket that listens. Raises KscopeError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listening = socket.create_server((address.host, address.port), family=family, backlog=1024)
    except OSError as error:
        raise KscopeError(f"{name}: cannot listen on {address}: {error.strerror}") from None
    listening.settimeout(0)
    # Connections inherit it; asyncio sets it only if the protocol has a number. Head and body are
    # two writes: on a kept connection the body would wait 40 ms for the head's acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def address_of(listening: socket.socket) -> Address:
    """Return the address that the socket has, also if port 0 was asked for."""
    name: Any = listening.getsockname()
    return Address(name[0], name[1])
