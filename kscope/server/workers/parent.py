"""The parent of the workers: starts them, starts dead ones again, adds up their counts."""

import asyncio
import contextlib
import logging
import secrets
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from kscope.config import Address, AgentSettings, Settings
from kscope.errors import KscopeError
from kscope.server.app import Sockets, bound, stop_on_signals
from kscope.server.http import metric_list
from kscope.server.http.metric_list import Families
from kscope.server.workers.adding import added, counters
from kscope.server.workers.launch import Start, launched
from kscope.server.workers.memory import SharedMemory, made
from kscope.server.workers.messages import (
    Counted,
    Failed,
    FromWorker,
    Ready,
    Stop,
    ToWorker,
    WantCount,
    WantWhole,
    Whole,
)

# Between the death of a worker and the start of the next one; a worker that has lived so long
# begins with the shortest pause again.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_LONG_LIFE = 60.0
# Longer than a worker waits for requests, for what waits to be written, and for its connections.
_GRACE_SECONDS = 40.0
# A worker that does not say its counts in time is counted as it was.
_COUNT_SECONDS = 2.0

log = logging.getLogger(__name__)


class WorkerFailedError(KscopeError):
    """A worker could not start."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.exit_code = code


async def serve(
    settings: Settings,
    program: Sequence[str],
    announce: Callable[[Address, Address], None],
    *,
    verbose: bool = False,
) -> None:
    """Serve by settings.workers processes until SIGINT or SIGTERM, and wait for their ends.

    `program` are the interpreter's arguments that start a worker. `announce` is called with the
    listeners' addresses (read, ingest) once all are ready. Raises KscopeError if one of them cannot
    start.
    """
    with bound(settings) as (found, sockets), made(settings.workers) as memory:
        read, ingest = (each.fileno() for each in sockets)
        # Workers have no probes, and the functions that name places of the file cannot be sent.
        sent = replace(found, agent=AgentSettings())
        key = secrets.token_bytes(16)
        start = Start(
            number=0, workers=settings.workers, is_first=True, settings=sent, verbose=verbose,
            key=key, read=read, ingest=ingest, memory=memory.file,
        )  # fmt: skip
        crew = Crew(start, program, sockets, memory)
        stop_on_signals(crew.stop)
        await crew.run(lambda: announce(found.read, found.ingest))


@dataclass(eq=False)
class Worker:
    """A running worker. `counted` has what it has said last, `failed` why it ended, if it did."""

    number: int
    process: Process
    channel: ToWorker
    counted: Families = ()
    failed: Failed | None = None
    asked: asyncio.Future[None] | None = None
    ready: bool = False


@dataclass(eq=False)
class Crew:
    """The workers of a server."""

    start: Start
    program: Sequence[str]
    sockets: Sockets
    memory: SharedMemory
    _workers: dict[int, Worker] = field(default_factory=dict)
    # Counts of workers that have ended.
    _ended: Families = ()
    _restarts: int = 0
    _stops: int = 0
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _begun: asyncio.Event = field(default_factory=asyncio.Event)
    _counting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _answers: set[asyncio.Task[None]] = field(default_factory=set)

    def stop(self) -> None:
        """Ask all to end; the second time, without waiting for requests."""
        self._stops += 1
        self._stopping.set()
        # The last worker that closes them has new clients refused.
        for each in self.sockets:
            each.close()
        for worker in self._workers.values():
            worker.channel.send(self._stop())

    def _stop(self) -> Stop:
        return Stop(at_once=self._stops > 1)

    async def run(self, begun: Callable[[], None]) -> None:
        """Run until stop() is called and all have ended. Raises KscopeError at the start only."""
        keeping = [
            asyncio.create_task(self._keep(number)) for number in range(1, self.start.workers + 1)
        ]
        watching = [asyncio.create_task(self._announce(begun)), asyncio.create_task(self._bound())]
        try:
            await asyncio.wait(keeping, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            if not self._stops:
                self.stop()
            results = await asyncio.gather(*keeping, return_exceptions=True)
            for task in (*watching, *self._answers):
                task.cancel()
            await asyncio.gather(*watching, *self._answers, return_exceptions=True)
        for failure in results:
            if isinstance(failure, BaseException):
                raise failure

    async def _announce(self, begun: Callable[[], None]) -> None:
        await self._begun.wait()
        begun()

    async def _bound(self) -> None:
        """Kill the workers that have not ended in time."""
        await self._stopping.wait()
        await asyncio.sleep(_GRACE_SECONDS)
        for worker in self._workers.values():
            log.warning("worker %d does not end: it is killed", worker.number)
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()

    async def _keep(self, number: int) -> None:
        """Start a worker, and another one whenever it has ended, until all end."""
        pause = _FIRST_PAUSE
        while True:
            since = time.monotonic()
            how = await self._life(number)
            if time.monotonic() - since > _LONG_LIFE:
                pause = _FIRST_PAUSE
            if await self._stops_within(pause, f"worker {number} {how}"):
                return
            pause = min(pause * 2, _LONGEST_PAUSE)
            self._restarts += 1

    async def _stops_within(self, pause: float, what: str) -> bool:
        """Wait after the end of a worker; return whether all end."""
        if not self._stopping.is_set():
            log.warning("%s; it is started again in %g s", what, pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
        return self._stopping.is_set()

    async def _life(self, number: int) -> str:
        """Run one worker to its end; return how it ended. Raises WorkerFailedError at the start."""
        try:
            start = replace(self.start, number=number, is_first=not self._begun.is_set())
            process, channel = await launched(start, self.program)
        except OSError as error:
            return self._told(f"cannot be started: {error.strerror}")
        worker = self._workers[number] = Worker(number, process, channel)
        if self._stops:
            channel.send(self._stop())
        log.info("worker %d is process %d", number, process.pid)
        try:
            while (message := await channel.receive()) is not None:
                self._take(worker, message)
            code = await process.wait()
        finally:
            self._forget(worker)
        await channel.close()
        if worker.failed:
            return self._told(f"failed: {worker.failed.text}", worker.failed)
        return self._told(_how(code))

    def _told(self, how: str, failed: Failed | None = None) -> str:
        """Return how a worker ended; at the start raise it."""
        if self._begun.is_set() or self._stopping.is_set():
            return how
        if failed:
            raise WorkerFailedError(failed.text, failed.code)
        raise WorkerFailedError(f"a worker {how} before it was ready; the log may say why", 1)

    def _take(self, worker: Worker, message: FromWorker) -> None:
        match message:
            case Ready():
                worker.ready = True
                if len(self._workers) == self.start.workers and self._all_ready():
                    self._begun.set()
            case Failed():
                worker.failed = message
            case Counted(families, asked):
                worker.counted = families
                if asked and worker.asked and not worker.asked.done():
                    worker.asked.set_result(None)
            case WantWhole():
                answer = asyncio.create_task(self._answer(worker))
                self._answers.add(answer)
                answer.add_done_callback(self._answers.discard)

    def _all_ready(self) -> bool:
        return all(worker.ready for worker in self._workers.values())

    def _forget(self, worker: Worker) -> None:
        del self._workers[worker.number]
        self.memory.clear(worker.number - 1)
        self._ended = added([self._ended, counters(worker.counted)])
        if worker.asked and not worker.asked.done():
            worker.asked.set_result(None)

    async def _answer(self, worker: Worker) -> None:
        async with self._counting:
            asked = [self._counted(each) for each in self._workers.values() if each.ready]
            await asyncio.gather(*asked)
            worker.channel.send(Whole(self._whole()))

    async def _counted(self, worker: Worker) -> None:
        worker.asked = asyncio.get_running_loop().create_future()
        worker.channel.send(WantCount())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(worker.asked), _COUNT_SECONDS)

    def _whole(self) -> Families:
        running = sum(worker.ready for worker in self._workers.values())
        ours: Families = [
            metric_list.WORKERS.of(running),
            metric_list.RESTARTS.of(self._restarts),
        ]
        counts = [worker.counted for worker in self._workers.values()]
        return added([self._ended, *counts, ours])


def _how(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
