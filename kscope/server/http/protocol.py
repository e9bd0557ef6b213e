"""HTTP/1.1 with bounds: uvicorn's protocol, whose requests are limited in size, number and time."""

import asyncio
from asyncio import sslproto
from http import HTTPStatus

import httptools
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn._types import ASGISendEvent as Message
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from kscope.server.http.connections import LEAST_READ, Connections, Phase
from kscope.server.http.problems import OPEN_PATHS, raw_problem

# Two flame graphs' worth of filters fit into a target; the page's own are some hundred bytes.
MAX_TARGET = 64 * 1024
MAX_FIELD = 16 * 1024
MAX_FIELDS = 100
MAX_HEAD = MAX_TARGET + 32 * 1024
# Bytes of a chunked body that are not content: chunks of 100 bytes are fine, of one byte are not.
_FRAMING = 64 * 1024
_FRAMING_PART = 16
# The parser does not stop inside a piece: a small one has few requests, or few chunks. The rest
# stays in the socket.
_PIECE = 256
_BODY_PIECE = 8192
# Requests that wait for earlier answers: more would fit into a piece behind a body of chunks.
_MOST_WAITING = 64
# Of all connections: a piece is parsed before the next one is read.
_BUFFER = memoryview(bytearray(256 * 1024))
# Of each connection with TLS, in each direction.
_TLS_BUFFER = 64 * 1024
# A client that is still sending after our answer reads the answer only if we read the rest.
_LINGER_BYTES = 4 * 1024 * 1024
_UNREAD = "the request is not HTTP/1.1"


class _RefusedError(Exception):
    """Ends the parser's work; the answer is in `BoundedProtocol._refusal`."""


class _Flow(FlowControl):
    """Reads no further while a request waits for the answer of an earlier one."""

    def __init__(self, protocol: "BoundedProtocol") -> None:
        super().__init__(protocol.transport)
        self._waiting = protocol.pipeline

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol, asyncio.BufferedProtocol):
    """One connection.

    Data is read in pieces, and no further than requests are answered: a client that sends
    thousands of requests together waits for its own answers.
    """

    def __init__(
        self, config: Config, state: ServerState, connections: Connections, address: str
    ) -> None:
        super().__init__(config, state, {})
        self.address = address
        self.phase = Phase.HEAD
        self.ending = False
        self._connections = connections
        self._aborted = False
        self._stopping = False
        self._active: RequestResponseCycle | None = None
        self._last = False
        self._refusal: tuple[int, str] | None = None
        self._unsent_before = 0
        self._dropped = 0
        self._in_head = False
        self._head = self._fields = self._remaining = 0
        # Bytes of the present field in the pieces after the one that it begins in; None in that.
        self._field: int | None = None
        # Bytes of bodies in a piece, in a whole body, and of what is around them.
        self._received = self._content = self._framing = 0

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if isinstance(transport, sslproto._SSLProtocolTransport):  # noqa: SLF001 - has no other name
            # As for a plain connection; asyncio's own limits are 256 and 512 KiB.
            transport.set_read_buffer_limits(_TLS_BUFFER)
            transport.set_write_buffer_limits(_TLS_BUFFER)
        self.flow = _Flow(self)
        if self._aborted:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.leave(self)
        active = self._active
        if active and not active.response_complete:
            active.disconnected = True
            active.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size() if self.transport else 0

    def abort(self) -> None:
        self._aborted = True
        if self.transport:
            self.transport.abort()

    def expire(self) -> bool:
        """End the connection: its client keeps it waiting. False if the client makes progress."""
        if self.phase is Phase.WRITE and self._reads():
            return False
        if self.phase is Phase.HEAD and self._head and self.transport and not self.unsent:
            self._write(408, f"the head of a request must arrive within {Phase.HEAD.value:g} s")
            self.end()
        else:
            self._connections.leave(self)
            self.abort()
        return True

    def _reads(self) -> bool:
        """Return whether the client has read enough of the answer since the last call."""
        unsent = self.unsent
        if unsent and unsent > self._unsent_before - LEAST_READ:
            return False
        self._unsent_before = unsent
        self._connections.enter(self, Phase.WRITE if unsent else self._now())
        return True

    def shutdown(self) -> None:
        self._stopping = True
        if self.ending:
            self.transport.close()
        else:
            super().shutdown()

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def is_closing(self) -> bool:
        return self.ending or self.transport.is_closing()

    def close(self) -> None:
        self.end()

    def end(self) -> None:
        """End the connection, after the client has taken what was written."""
        if self.ending or self.transport.is_closing():
            return
        self.ending = True
        if self._stopping:
            self.transport.close()
            return
        if not self.transport.can_write_eof():
            # TLS says itself that nothing follows, and reads the rest.
            self.transport.close()
            self._settle()
            return
        # A socket with unread data would be reset, and the answer in it would be lost.
        try:
            self.transport.write_eof()
        except OSError:
            # The client has reset the connection, and the loop does not know it yet.
            self.abort()
            return
        self.transport.resume_reading()
        self._settle()

    @property
    def _busy(self) -> bool:
        return self._active is not None and not self._active.response_complete

    def _settle(self) -> None:
        phase = self._now()
        if phase is not self.phase:
            self._unsent_before = self.unsent
            self._connections.enter(self, phase)

    def _now(self) -> Phase:
        if self.flow.write_paused or (self.ending and self.unsent):
            return Phase.WRITE
        if self.ending:
            return Phase.LINGER
        if self._active is not None and self._busy:
            return Phase.BODY if self._active.more_body else Phase.WORK
        return Phase.HEAD if self._in_head else Phase.IDLE

    def pause_writing(self) -> None:
        super().pause_writing()
        self._settle()
        self._connections.bound_unsent(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._settle()

    # Data

    def get_buffer(self, _: int) -> memoryview:
        if self.ending or self._last:
            return _BUFFER
        in_body = not self._in_head and self.cycle is not None and self.cycle.more_body
        return _BUFFER[: self._remaining or (_BODY_PIECE if in_body else _PIECE)]

    def buffer_updated(self, count: int) -> None:
        if self.ending:
            self._dropped += count
            if self._dropped > _LINGER_BYTES:
                self.abort()
        elif self._last:
            self.flow.pause_reading()
        else:
            if self.phase is Phase.IDLE:
                self._connections.enter(self, Phase.HEAD)
            self._parse(_BUFFER[:count])

    def _parse(self, piece: memoryview) -> None:
        self._received = 0
        try:
            self.parser.feed_data(piece)
            self._count(len(piece) - self._received)
        except httptools.HttpParserUpgrade:
            # This server has no other protocol: it answers the request, and then closes.
            self._last = True
        except (httptools.HttpParserError, _RefusedError):
            self._refusal = self._refusal or (400, _UNREAD)
            self._refuse()

    def _count(self, size: int) -> None:
        """Add the bytes of a piece that were not content of a body."""
        if self._in_head:
            self._head += size
            self._field = 0 if self._field is None else self._field + size
            if self._head > MAX_HEAD or self._field > MAX_FIELD + len(self.url):
                self._refused(431, f"the head of a request has at most {MAX_HEAD // 1024} KiB, a"
                              f" field of it {MAX_FIELD // 1024} KiB")  # fmt: skip
        else:
            self._framing += size
            if self._framing > _FRAMING + self._content // _FRAMING_PART:
                self._refused(400, "the chunks of the body have more framing than content: send"
                              " chunks of at least 100 bytes, without extensions")  # fmt: skip

    def _refused(self, status: int, detail: str) -> None:
        self._refusal = status, detail
        raise _RefusedError

    # The parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head = self._fields = self._remaining = 0
        self._field = None
        self._content = self._framing = 0
        if len(self.pipeline) >= _MOST_WAITING:
            self._refused(400, f"more than {_MOST_WAITING} requests wait for earlier answers")

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_TARGET:
            self._refused(414, f"the address has more than {MAX_TARGET // 1024} KiB")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._field = None
        if not self._in_head:
            return  # Fields after the body are not part of the request: its head was acted on.
        self._fields += 1
        if self._fields > MAX_FIELDS or len(name) + len(value) > MAX_FIELD:
            self._refused(431, f"a request has at most {MAX_FIELDS} fields of at most"
                          f" {MAX_FIELD // 1024} KiB each")  # fmt: skip
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._remaining = next(
            (int(value) for name, value in self.headers if name == b"content-length"), 0
        )
        super().on_headers_complete()
        # The cycle ends the connection by end(), so that the client can read the last answer.
        self.cycle.transport = self  # type: ignore[assignment]
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        self._content += len(body)
        self._remaining = max(0, self._remaining - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._remaining = 0
        super().on_message_complete()
        self._settle()

    # Answers

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._active = cycle
        self._settle()

        async def answered(
            scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
        ) -> None:
            async def checked(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._connections.answers[message["status"]] += 1
                    # The rest of a body is not worth reading.
                    cycle.keep_alive = cycle.keep_alive and not cycle.more_body
                await send(message)

            await app(scope, receive, checked)

        start = super()._start_asgi_task
        if cycle.scope["path"] in OPEN_PATHS:
            start(cycle, answered)
        else:
            self._connections.start_soon(lambda: cycle.disconnected or start(cycle, answered))

    def on_response_complete(self) -> None:
        if self.ending or self.transport.is_closing():
            self._settle()
        elif self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            self.flow.resume_reading()
        elif self._last:
            self._end_refused()
        else:
            self.flow.resume_reading()
            self._settle()

    def _refuse(self) -> None:
        """Refuse a request that cannot be parsed, once the earlier ones are answered."""
        self._last = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and cycle.more_body:
            self._give_up(cycle)
        if not self._busy:
            self._end_refused()

    def _end_refused(self) -> None:
        if self._refusal:
            self._write(*self._refusal)
        self.end()

    def _give_up(self, cycle: RequestResponseCycle) -> None:
        """Let the application see a disconnect: the body of this request does not arrive."""
        cycle.disconnected = True
        cycle.message_event.set()
        if cycle is self._active:
            self._active = None
            # An answer that has begun is followed by no other.
            self._refusal = None if cycle.response_started else self._refusal
        else:
            self.pipeline.remove(next(waiting for waiting in self.pipeline if waiting[0] is cycle))

    def _write(self, status: int, detail: str) -> None:
        self._connections.answers[status] += 1
        self._connections.refusals.note(
            status, "not HTTP" if status == HTTPStatus.BAD_REQUEST else ""
        )
        self.transport.write(raw_problem(status, detail, self.server_state.default_headers))
