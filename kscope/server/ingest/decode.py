"""A request's body -> a batch that is ready to be stored, or its faults.

A body is read in pieces, in steps of a few milliseconds each (fair_queue.py): reading.py has the
order of its members. Rows are decoded by fast_decode.py, and checked by row_faults.py if they are
not accepted; columns are read by columns.py.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from hashlib import blake2b
from typing import Any

from kscope.config import AcceptSettings
from kscope.declare.model import TIME, Column
from kscope.declare.types.base import Role, Storage
from kscope.declare.types.time import microseconds
from kscope.server.ingest.arrays import RowArray
from kscope.server.ingest.coding import coded
from kscope.server.ingest.columns import ColumnTable
from kscope.server.ingest.fair_queue import Steps
from kscope.server.ingest.json_reading import JsonReading
from kscope.server.ingest.pack_reading import PackReading
from kscope.server.ingest.reading import BodyReading, Checks
from kscope.server.ingest.stack_ids import BodyStacks
from kscope.server.ingest.time_window import TimeWindow
from kscope.store.backends.coded import Coded, distinct
from kscope.store.write.batch import Batch, Old, TableRows

# A larger body is read twice: first without keeping its rows, because one of them may be wrong.
_KEPT_AT_ONCE = 4 * 1024 * 1024
_ALL_TIMES = AcceptSettings(None, None)


class Form(Enum):
    """The ways to write a body. One of 2016 is JSON, has no columns, and stacks with leaf first."""

    JSON = "json"
    MESSAGEPACK = "messagepack"
    OF_2016 = "of 2016"


class Decoder(Checks):
    """Checks bodies against one catalog. Safe to use in several threads."""

    def steps(  # noqa: PLR0913 - one body's
        self,
        text: bytes | bytearray,
        now: int,
        key: str = "",
        room: Callable[[int], None] = lambda _: None,
        form: Form = Form.JSON,
        *,
        accept: AcceptSettings = _ALL_TIMES,
    ) -> Steps[Batch]:
        """Decode in steps. `now`, in microseconds, is the time of a body that does not have one.

        `room` is called with each number of bytes that is kept, and may raise. `accept` has the
        times that rows may have.
        """
        of_2016 = form is Form.OF_2016
        way = PackReading if form is Form.MESSAGEPACK else JsonReading
        if form is Form.MESSAGEPACK:
            # Its members are copied to find their ends.
            room(len(text))
        if len(text) > _KEPT_AT_ONCE:
            yield from way(self, text, rows_only=of_2016).run()
        reading = way(self, text, keep=room, rows_only=of_2016)
        yield from reading.run()
        window = TimeWindow(now, accept)
        return (yield from _batch(reading, window, key, leaf_first=of_2016))


def _batch(reading: BodyReading, window: TimeWindow, key: str, *, leaf_first: bool) -> Steps[Batch]:
    """Return the batch of a finished reading, which has no faults. Raise OutsideWindow."""
    hostname = reading.envelope["hostname"]
    is_timed = "time" in reading.envelope
    now = microseconds(reading.envelope["time"]) if is_timed else window.now
    arrived = 0
    old: dict[str, Old] = {}
    tables = []
    stacks = BodyStacks(reading.stacks.texts, leaf_first)
    for table in reading.in_order():
        times = yield from _column(table, TIME, stacks)
        if None in distinct(times):
            window.check_body(now)
            times = [now if time is None else time for time in times]
            arrived = 0 if is_timed else now
        oldest = yield from window.check(times, table.place_of_time)
        if found := (yield from window.old(table.category, times, oldest)):
            old[table.category.table] = found
        columns: list[Sequence[Any]] = [times, Coded.constant(hostname, len(times))]
        for column in table.category.columns:
            values = yield from _column(table, column, stacks)
            columns.append(values)
        tables.append(TableRows(table.category, columns))
    return Batch(_batch_key(hostname, key), tables, stacks.used, arrived=arrived, old=old)


def _column(
    table: RowArray | ColumnTable, column: Column, stacks: BodyStacks
) -> Steps[Sequence[Any]]:
    """Return a column as it is stored; its values in the table are freed."""
    values = table.values.pop(column.name)
    if column.type.role is Role.STACK:
        return (yield from stacks.column(values))
    if column.type.storage is Storage.STRING_ID and not isinstance(values, Coded):
        return (yield from coded(values))
    return values


def _batch_key(hostname: str, key: str) -> bytes:
    """Return the key of the batch. Two hosts may use the same text as a key."""
    if not key:
        return b""
    return blake2b(f"{hostname}\0{key}".encode(), digest_size=16).digest()
