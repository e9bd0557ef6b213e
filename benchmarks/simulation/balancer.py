"""A TCP load balancer as fleets have them in front of servers: it asks them for /readyz.

It also counts: connections, and requests, as an agent sends one after the other.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PIECE = 64 * 1024
_BACKLOG = 4096
_PATIENCE = 30.0
_CHECK_SECONDS = 1.0
_CHECK_WITHIN = 5.0
_CHECK = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass
class Traffic:
    """A server's requests and new connections by second of the monotonic clock."""

    requests: Counter[int] = field(default_factory=Counter)
    connects: Counter[int] = field(default_factory=Counter)
    open: int = 0
    most_open: int = 0


@dataclass
class Balancer:
    """Passes each connection to the ready server (a port of loopback) that has the fewest."""

    ports: Sequence[int]
    traffic: dict[int, Traffic]
    port: int = 0
    unready: set[int] = field(default_factory=set)
    ready: threading.Event = field(default_factory=threading.Event)

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, backlog=_BACKLOG)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        return server

    async def check(self) -> None:
        """Ask all servers again and again whether they are ready."""
        while True:
            for port in self.ports:
                (self.unready.discard if await _is_ready(port) else self.unready.add)(port)
            await asyncio.sleep(_CHECK_SECONDS)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ready = [port for port in self.ports if port not in self.unready]
        for port in sorted(ready or self.ports, key=lambda each: self.traffic[each].open):
            with suppress(OSError):
                await self._pass_on(port, reader, writer)
                break
        writer.transport.abort()

    async def _pass_on(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass both ways until one side ends. Raises OSError if the server refuses."""
        from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
        connection = _Connection(self.traffic[port])
        ways = [
            asyncio.create_task(connection.up(reader, to_server)),
            asyncio.create_task(connection.down(from_server, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            connection.traffic.open -= 1
            for way in ways:
                way.cancel()
            to_server.transport.abort()


async def _is_ready(port: int) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_CHECK_WITHIN):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_CHECK)
            status = await reader.readline()
            writer.transport.abort()
            return b" 200 " in status
    return False


class _Connection:
    """Counts requests: an agent sends the next one after the answer to the last one."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self._answered = True
        traffic.connects[int(time.monotonic())] += 1
        traffic.open += 1
        traffic.most_open = max(traffic.most_open, traffic.open)

    async def up(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(_PIECE):
                if self._answered:
                    self.traffic.requests[int(time.monotonic())] += 1
                self._answered = False
                sink.write(data)
                await sink.drain()

    async def down(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(_PIECE):
                self._answered = True
                sink.write(data)
                await sink.drain()


@contextmanager
def balancing(groups: Sequence[Sequence[int]]) -> Iterator[list[Balancer]]:
    """Run a balancer for each group of ports, in a thread, until the end of the block."""
    traffic = {port: Traffic() for group in groups for port in group}
    balancers = [Balancer(group, traffic) for group in groups]
    ended = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(balancers, ended)))
    thread.start()
    try:
        for balancer in balancers:
            if not balancer.ready.wait(_PATIENCE):
                raise RuntimeError("the balancer did not start")
        yield balancers
    finally:
        ended.set()
        thread.join()


async def _serve(balancers: Sequence[Balancer], ended: threading.Event) -> None:
    servers = [await balancer.start() for balancer in balancers]
    checks = [asyncio.create_task(balancer.check()) for balancer in balancers]
    await asyncio.to_thread(ended.wait)
    for check in checks:
        check.cancel()
    for server in servers:
        server.close()
