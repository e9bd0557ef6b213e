"""Threads for calls that may never return: they do not keep the program from ending."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any, TypeVar

Result = TypeVar("Result")
_Work = tuple["Future[Any]", Callable[[], Any]]


@dataclass(eq=False)
class DaemonThreads:
    """At most `limit` threads, made when they are needed. One thread alone may submit work."""

    limit: int
    name: str
    _waiting: "SimpleQueue[_Work | None]" = field(default_factory=SimpleQueue)
    _idle: Semaphore = field(default_factory=lambda: Semaphore(0))
    _many: int = 0
    _running: "set[Future[Any]]" = field(default_factory=set)

    @property
    def running(self) -> "list[Future[Any]]":
        """The calls that run or wait for a thread: one outlives the task that waits for it."""
        return list(self._running)

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        future: Future[Result] = Future()
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        self._waiting.put((future, work))
        if not self._idle.acquire(blocking=False) and self._many < self.limit:
            self._many += 1
            Thread(target=self._serve, name=f"{self.name} {self._many}", daemon=True).start()
        return future

    def close(self) -> None:
        """Let the threads end once their calls return."""
        for _ in range(self._many):
            self._waiting.put(None)

    def _serve(self) -> None:
        while (next_one := self._waiting.get()) is not None:
            _run(*next_one)
            self._idle.release()


async def settled(calls: "Iterable[Future[Any]]", seconds: float) -> None:
    """Wait for the end of calls, whatever it is, but not longer.

    Those that wait for a thread then are cancelled.
    """
    ends = [asyncio.wrap_future(each) for each in calls]
    if ends:
        await asyncio.wait(ends, timeout=seconds)
    for each in ends:
        # No task waits for its error any more, which asyncio would log.
        _ = each.cancel() or each.cancelled() or each.exception()


def _run(future: "Future[Any]", work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
        future.set_exception(error)
