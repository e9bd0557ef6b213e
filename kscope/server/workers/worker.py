"""A worker: serves on inherited sockets until its parent says so, or has ended."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from kscope.errors import KscopeError
from kscope.server.app import Count, Servers, serve_on, servers_on, stop, stop_on_signals
from kscope.server.http.memory_budget import Budget
from kscope.server.http.metric_list import Families
from kscope.server.http.metrics import Whole as AskWhole
from kscope.server.http.problems import HttpProblem
from kscope.server.http.wrong_tokens import ALLOWED
from kscope.server.part import Part
from kscope.server.workers.launch import Start
from kscope.server.workers.memory import SharedMemory
from kscope.server.workers.messages import (
    Counted,
    Failed,
    Ready,
    Stop,
    ToParent,
    WantCount,
    WantWhole,
    Whole,
    to_parent,
)
from kscope.server.workers.new_texts import shared_limits

# Counts of a worker that is killed are those of so many seconds before, or of the last answer of
# /metrics.
_COUNT_SECONDS = 1.0
_PATIENCE_SECONDS = 10.0


async def work(start: Start) -> int:
    """Serve until the parent ends it or ends itself; return the exit code."""
    asked = Asked(await to_parent(socket.socket(fileno=start.parent)))
    try:
        await _serve(start, asked)
    except KscopeError as error:
        asked.channel.send(Failed(str(error), error.exit_code))
        return error.exit_code
    finally:
        await asked.channel.close()
    return 0


async def _serve(start: Start, asked: "Asked") -> None:
    memory = SharedMemory(start.memory, start.workers)
    part = part_of(start, memory, asked.whole)
    with _inherited(start.read) as read, _inherited(start.ingest) as ingest:
        servers = servers_on(start.settings, (read, ingest), part)
        # A service manager signals each process of a service: the parent's word comes as well.
        stop_on_signals(lambda: stop(servers, at_once=False))
        async with _listening(asked, servers):
            await serve_on(start.settings, servers, part, asked.ready)


def _inherited(file: int) -> socket.socket:
    found = socket.socket(fileno=file)
    found.settimeout(0)
    return found


def part_of(start: Start, memory: SharedMemory, whole: AskWhole) -> Part:
    """Return the part of one worker, in such a way that documented bounds are those of all."""
    place = start.number - 1
    return Part(
        keeps_house=place == 0,
        # Until then the others answer.
        accepts_early=start.is_first,
        wrong_tokens=max(1, ALLOWED // start.workers),
        share=1 / start.workers,
        budget=lambda limit: Budget(limit, memory.used(), place),
        new_texts=lambda settings: shared_limits(settings, memory, start.key),
        crowds=memory.crowds(place),
        whole=whole,
    )


class Asked:
    """Answers the parent, and asks it."""

    def __init__(self, channel: ToParent) -> None:
        self.channel = channel
        self._count: Count = list
        self._sent: Families = []
        # Clients wait for the running question, and those that came after it for the next.
        self._running: asyncio.Future[Families] | None = None
        self._next: asyncio.Future[Families] | None = None

    def ready(self, count: Count) -> None:
        self._count = count
        self.channel.send(Ready())

    async def whole(self) -> Families:
        """Return the counts of all workers, none older than this call."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        answer = self._next
        if self._running is None:
            self._ask()
        try:
            return await asyncio.wait_for(asyncio.shield(answer), _PATIENCE_SECONDS)
        except TimeoutError:
            raise HttpProblem(503, "the other workers do not answer") from None

    def _ask(self) -> None:
        self._running, self._next = self._next, None
        self.channel.send(WantWhole())

    async def answer(self, servers: Servers) -> None:
        """Answer until the parent ends; the servers end then, or when it says so."""
        while (message := await self.channel.receive()) is not None:
            match message:
                case Stop(at_once):
                    stop(servers, at_once=at_once)
                case WantCount():
                    self._send_counts(asked=True)
                case Whole(families):
                    self._answered(families)
        stop(servers, at_once=False)

    def _answered(self, families: Families) -> None:
        if self._running is not None:
            self._running.set_result(families)
        self._running = None
        if self._next is not None:
            self._ask()

    async def keep_sending(self) -> None:
        while True:
            await asyncio.sleep(_COUNT_SECONDS)
            self.send_changed()

    def send_changed(self) -> None:
        if self.channel.is_idle and self._count() != self._sent:
            self._send_counts(asked=False)

    def _send_counts(self, *, asked: bool) -> None:
        self._sent = self._count()
        self.channel.send(Counted(self._sent, asked))


@contextlib.asynccontextmanager
async def _listening(asked: Asked, servers: Servers) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in (asked.answer(servers), asked.keep_sending())]
    try:
        yield
    finally:
        asked.send_changed()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
