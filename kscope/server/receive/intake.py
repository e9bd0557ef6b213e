"""One request of a receiver: read, decoded in steps, and stored as bodies of our own ingest."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from starlette.requests import Request

from kscope.config import ReceiverSettings
from kscope.server.http.memory_budget import Share
from kscope.server.http.metrics import ReceiveCounts
from kscope.server.http.problems import HttpProblem, store_problem
from kscope.server.http.refusals import reason_of
from kscope.server.ingest.decompress import decompressor
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.ingest.routes import Ingest, key_of, refuse_pages
from kscope.server.ingest.time_window import OutsideWindow
from kscope.server.receive.gather import Gathered
from kscope.store.backends.errors import StoreError
from kscope.store.write.batch import Batch

# Reads a body, and adds its profiles. Raises HttpProblem.
Reader = Callable[[bytearray, Gathered], Steps[None]]

# Batches that wait for one commit.
_AT_ONCE = 100
_MOST_LOGGED = 200

log = logging.getLogger(__name__)


class OldLayoutProblem(HttpProblem):
    """A profile in the layout of an older release of its protocol."""

    reason: ClassVar[str] = "old layout"


class InvalidRowsProblem(HttpProblem):
    """Samples that the category's own check refuses."""

    reason: ClassVar[str] = "invalid"


@dataclass(frozen=True)
class Intake:
    """Takes in the profiles of one protocol."""

    protocol: str
    ingest: Ingest
    settings: ReceiverSettings
    counts: ReceiveCounts
    # Sample types that the log has named.
    logged: set[str] = field(default_factory=set)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a request that is refused within, by the reason."""
        try:
            yield
        except HttpProblem as problem:
            reason = reason_of(problem.status, problem.why)
            # There is no schema of profiles.
            self.counts.refused[self.protocol, "damaged" if reason == "schema" else reason] += 1
            raise

    async def store(self, request: Request, read: Reader) -> Gathered:
        """Store all profiles that categories take, or raise HttpProblem and store none.

        A request that is sent again after an error is stored once, profile by profile.
        """
        refuse_pages(request)
        try:
            gathered = await self._stored(request, read)
        except StoreError as error:
            raise store_problem(request.app.state, error) from error
        self.counts.profiles[self.protocol] += gathered.taken
        self.counts.samples[self.protocol] += gathered.samples
        self.counts.refused[self.protocol, "no category"] += sum(gathered.untaken.values())
        if gathered.untaken.keys() - self.logged and len(self.logged) < _MOST_LOGGED:
            self.logged.update(sorted(gathered.untaken)[:_MOST_LOGGED])
            log.warning("%s, from %s: %s", self.protocol, gathered.sender, gathered.why_untaken())
        return gathered

    async def _stored(self, request: Request, read: Reader) -> Gathered:
        own_key = key_of(request)
        decompress = decompressor(request.headers.get("content-encoding", ""))
        sender = request.client.host.removeprefix("::ffff:") if request.client else "unknown"
        with self.ingest.budget.share() as share:
            catalog = self.ingest.live.catalog
            host = self.settings.hostname or sender
            gathered = Gathered(self.protocol, catalog, host, share.take, sender)
            texts = await self.ingest.lanes.run(
                _texts(read(await self.ingest.text(request, decompress, share), gathered), gathered)
            )
            share.give(share.held - sum(len(text) for _, text in texts))
            batches = []
            while texts:
                # No list holds the text any longer.
                key, text = texts.pop()
                key = f"{own_key} {len(texts)}" if own_key else key
                batches.append(await self._batch(text, key, share))
            for batch in batches:
                self.ingest.check(request, batch)
            for start in range(0, len(batches), _AT_ONCE):
                some = batches[start : start + _AT_ONCE]
                await asyncio.gather(*(self.ingest.write(request, each) for each in some))
            gathered.old = [said for batch in batches for said in self.ingest.old_rows(batch)]
        return gathered

    async def _batch(self, text: bytearray, key: str, share: Share) -> Batch:
        key = f"{self.protocol} {key}" if key else ""
        try:
            return await self.ingest.decoded(text, key, share)
        except HttpProblem as problem:
            if problem.status != 422 or isinstance(problem, OutsideWindow):
                raise
            raise InvalidRowsProblem(422, problem.detail, problem.faults) from None


def _texts(work: Steps[None], gathered: Gathered) -> Steps[list[tuple[str, bytearray]]]:
    """Return the key and the text of each body."""
    yield from work
    texts = []
    for body in gathered.bodies.values():
        yield Lane.GOOD
        text = body.text()
        gathered.room(len(text))
        texts.append((body.key, text))
    gathered.bodies.clear()
    return texts
