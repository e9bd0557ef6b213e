"""Files of batches that are written while their rows are read."""

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import IO, Any

from arro3.core import RecordBatch, RecordBatchReader
from arro3.io import write_ipc, write_ipc_stream, write_parquet

from kscope.query.answers.question import TableColumn
from kscope.query.columnar.batches import Batches

# Rows that a reader of Parquet takes at once; the file's part with them is in memory until its end.
_ROW_GROUP = 50_000

THREAD = "table file"

Write = Callable[[RecordBatchReader, IO[bytes]], None]


def parquet(batches: RecordBatchReader, file: IO[bytes]) -> None:
    write_parquet(batches, file, compression="zstd(3)", max_row_group_size=_ROW_GROUP)


def arrow(batches: RecordBatchReader, file: IO[bytes]) -> None:
    write_ipc(batches, file, compression="lz4")


def arrow_stream(batches: RecordBatchReader, file: IO[bytes]) -> None:
    # Some readers of streams know no compression.
    write_ipc_stream(batches, file, compression=None)


class _Sink(io.BytesIO):
    """A file that keeps what is written until it is taken."""

    def taken(self) -> bytes:
        content = self.getvalue()
        self.seek(0)
        self.truncate()
        return content


@dataclass(slots=True)
class FileEncoder:
    """Takes rows and returns the bytes of the file that is made of them.

    arro3 asks for batches until there are no more. So it runs in a separate thread, which only
    works while a call of `rows` or `end` waits for it: a slow client keeps no other thread.
    """

    columns: Sequence[TableColumn]
    write: Write
    _batches: Batches | None = None
    _given: SimpleQueue[RecordBatch | None] = field(default_factory=SimpleQueue)
    _taken: SimpleQueue[BaseException | None] = field(default_factory=SimpleQueue)
    _file: _Sink = field(default_factory=_Sink)

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        listed = rows if isinstance(rows, list) else list(rows)
        for batch in self._begun(listed).made(listed):
            self._give(batch)
        return self._file.taken()

    def end(self) -> bytes:
        self._begun(())
        self._give(None)
        return self._file.taken()

    def close(self) -> None:
        """Let the thread end, if it waits for more."""
        self._given.put(None)

    def _begun(self, rows: Sequence[Sequence[Any]]) -> Batches:
        if self._batches is None:
            self._batches = Batches.of(self.columns, rows)
            arguments = (self._batches,)
            threading.Thread(target=self._run, name=THREAD, args=arguments, daemon=True).start()
        return self._batches

    def _give(self, batch: RecordBatch | None) -> None:
        """Return when the batch, or the end, is written. Raise the writer's exception."""
        self._given.put(batch)
        if error := self._taken.get():
            raise error

    def _run(self, batches: Batches) -> None:
        error = None
        try:
            self.write(
                RecordBatchReader.from_batches(batches.schema, self._asked_for()), self._file
            )
        except BaseException as caught:  # noqa: BLE001 - raised where rows are given
            error = caught
        self._taken.put(error)

    def _asked_for(self) -> Iterator[RecordBatch]:
        while (batch := self._given.get()) is not None:
            yield batch
            # Asked for the next one: that one is written.
            self._taken.put(None)
