"""One commit on an engine without transactions: in steps. Each may be the last.

A batch with a key is stored once, whatever dies and from wherever it is sent again:

1. its key is noted as begun,
2. its rows are stored: all rows of one table and day by one statement, whole or not at all,
3. the sums of those that are late are stored, those of one level and day likewise,
4. its key is noted as done, and the sender gets its answer.

A server that finds another one's attempt at that time leaves the batch to it, and notes so: its own
attempt counts no more.

A key that is begun and not done is in doubt. While its statements may still run, its sender hears
that it should come again. Afterwards the rows that are there are looked for, and only the others
are stored. They have what the note of the attempt says, such as the time of rows that came without
one, see form.py. The times at which attempts begin and end are the engine's, which refuses rows
that come late.

Several commits may run side by side. Of one key only one does, see group_commit.py.

Buckets are closed in the background, see housekeeping/close_in_engine.py. A row of a bucket that is
being closed, or is closed, is late: it is marked so, and what closes the bucket leaves it out.
"""

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kscope.generate.clickhouse.tables import (
    BEGUN,
    COMMIT,
    DONE,
    LATE,
    LEFT,
    STATE,
    TWIN,
    UNTIL,
    hashed_columns,
)
from kscope.generate.tables import CategoryTables
from kscope.store.backends.appending import SETTLED_SECONDS, WRITE_SECONDS, AppendingSession
from kscope.store.backends.errors import (
    BatchInDoubt,
    StaleDeclaration,
    StoreBusy,
)
from kscope.store.backends.in_thread import in_thread
from kscope.store.schema.closing import Closing, closing_of, closing_prefix, marks_of
from kscope.store.schema.interning import text_hash
from kscope.store.schema.meta import category_note, contradicts, declared_types
from kscope.store.sums.grouping import Columns
from kscope.store.write.batch import Batch, Stored
from kscope.store.write.brought_sums import Brought
from kscope.store.write.doubt import Found, found_rows
from kscope.store.write.form import Form, begun_answer, forms_of, in_form
from kscope.store.write.late_rows import LateSums, late_sums, sums_columns
from kscope.store.write.transaction import (
    Transaction,
    answer_of,
    by_table,
    counts_of,
    duplicate,
    merged,
    sums_of,
)

_SECOND = 1_000_000
# The longest time after which a sender comes again with a batch that two servers got at once.
_AGAIN_SECONDS = 5
# Of the engine's clock, as a statement begins.
_NOW = "toUnixTimestamp64Micro(now64(6))"
# As a text of any length a key would lose zeros at its end.
_KEYS = "(SELECT toFixedString(unhex(arrayJoin({keys:Array(String)})), 16))"
# The attempts to store batches. One that was left to another attempt has stored nothing.
_ATTEMPTS = (
    f"(SELECT lower(hex(key)) AS noted, {COMMIT} AS attempt, max({STATE}) AS state,"  # noqa: S608 - names of the store
    f" argMax(answer, {STATE}) AS stored, max(received) AS begun FROM kscope_batch"
    f" WHERE key IN {_KEYS} GROUP BY key, {COMMIT} HAVING state != {LEFT})"
)
# The categories' notes, each with its name.
_NOTES = (
    "(SELECT groupArray((name, value)) FROM kscope_meta FINAL WHERE name IN {names:Array(String)}"
    " OR arrayExists(begin -> startsWith(name, begin), {begins:Array(String)}))"
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The state of a key, when it was begun last (us), its answer, and those of begun attempts."""

    state: int
    received: int
    answer: str
    attempts: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Rest:
    """The part of the batch with this key that is left to store, and the rows that are there."""

    key: bytes
    batch: Batch
    there: list[Found]


@dataclass(frozen=True, slots=True)
class _Moment:
    """The basis of a commit: the engine's time, the notes, and levels that are being closed."""

    now: int
    notes: Mapping[str, str]

    @property
    def until(self) -> int:
        return self.now + WRITE_SECONDS * _SECOND

    def closing(self, table: str) -> dict[int, Closing]:
        return closing_of(self.notes, table)


class _Hashes(dict[str, int]):
    """The numbers of strings before these are stored."""

    def __missing__(self, text: str) -> int:
        return self.setdefault(text, text_hash(text))


@dataclass(eq=False)
class Steps(Transaction):
    """The work of one commit, in steps."""

    _commit: int = field(default_factory=lambda: secrets.randbits(63))

    @property
    def _appending(self) -> AppendingSession:
        assert isinstance(self._session, AppendingSession)
        return self._session

    async def store(self, batches: list[Batch]) -> list[Stored | StoreBusy]:
        """Store them; of a batch that is in doubt return the error, the others are stored."""
        seen, moment = await self._look(batches)
        answers, fresh, doubtful = self._parted(batches, seen, moment.now)
        if not fresh:
            return answers
        fresh = [await self._formed(each, doubtful.get(each.key, ()), moment) for each in fresh]
        for table, pieces in by_table(fresh, with_sums=True).items():
            self._tables(table, pieces)
        async with self._known.turn:
            fresh, ids = await self._texts(fresh)
            await self.remember(sum(map(len, fresh)))
        self._check(fresh, moment)
        contended = await self._begin(fresh, moment)
        if contended:
            answers = [
                # At different times, if both have left it.
                BatchInDoubt(1 + secrets.randbelow(_AGAIN_SECONDS))
                if batch.key in contended
                else answer
                for batch, answer in zip(batches, answers, strict=True)
            ]
            fresh = [batch for batch in fresh if batch.key not in contended]
        found = await self._left(fresh, doubtful, ids, moment)
        sums = LateSums()
        for rest in found:
            for each in rest.there:
                await self._complete(rest.key, each, sums, moment)
            late_sums(rest.batch, ids, moment.closing, sums, self._schema.categories.__getitem__)
            for piece in sums_of([rest.batch]):
                tables = self._tables(piece.category.table, [piece])
                closing = moment.closing(piece.category.table)
                brought = Brought(rest.key, tables, piece.bucket, merged([piece], ids), closing)
                await brought.add_to(sums, self._session, is_new=rest.key not in doubtful)
        await self._store_rows([rest.batch for rest in found], ids, moment)
        await self._store_sums(sums, moment)
        await self._note_done(fresh, moment)
        return answers

    async def _look(self, batches: list[Batch]) -> tuple[dict[bytes, _Seen], _Moment]:
        """Return the keys that are noted, and the moment, in one statement: each takes a while."""
        tables = [*by_table(batches, with_sums=True)]
        ((now, rows, notes),) = await self._appending.as_appended(
            f"SELECT {_NOW}, groupArray((batch, last, since, answered, tries)), {_NOTES}"  # noqa: S608 - as above
            " FROM (SELECT noted AS batch, max(state) AS last, max(begun) AS since,"
            " argMax(stored, state) AS answered,"
            f" groupUniqArrayIf(stored, state = {BEGUN}) AS tries"
            f" FROM {_ATTEMPTS} GROUP BY noted)",
            {
                "keys": sorted({batch.key.hex() for batch in batches if batch.key}),
                "names": list(map(category_note, tables)),
                "begins": list(map(closing_prefix, tables)),
            },
        )
        seen = {bytes.fromhex(key): _Seen(*rest) for key, *rest in rows}
        return seen, _Moment(int(now), {str(name): str(value) for name, value in notes})

    def _parted(
        self, batches: list[Batch], seen: Mapping[bytes, _Seen], now: int
    ) -> tuple[list[Stored | StoreBusy], list[Batch], dict[bytes, list[Form]]]:
        """Return the answers, the batches to store, and for keys in doubt the forms of attempts."""
        answers: list[Stored | StoreBusy] = []
        fresh: dict[bytes, Batch] = {}
        others: list[Batch] = []
        doubtful: dict[bytes, list[Form]] = {}
        for batch in batches:
            known = seen.get(batch.key) if batch.key else None
            if known is not None and known.state == DONE:
                answers.append(duplicate(known.answer))
                continue
            if batch.key and batch.key in fresh:
                answers.append(Stored(counts_of(fresh[batch.key]), duplicate=True))
                continue
            if known is not None:
                left = known.received + SETTLED_SECONDS * _SECOND - now
                if left > 0:
                    answers.append(BatchInDoubt(left // _SECOND + 1))
                    continue
                doubtful[batch.key] = forms_of(known.attempts)
            answers.append(Stored(counts_of(batch)))
            if batch.key:
                fresh[batch.key] = batch
            else:
                others.append(batch)
        return answers, [*fresh.values(), *others], doubtful

    def _check(self, batches: list[Batch], moment: _Moment) -> None:
        """Refuse rows of a table that another server has changed, or sums in another way."""
        for table, pieces in by_table(batches, with_sums=True).items():
            tables = self._tables(table, pieces)
            noted = json.loads(moment.notes.get(category_note(table), "{}"))
            if contradicts(tables.category, noted):
                raise StaleDeclaration(
                    f"the declaration of {table} has changed on another server: update the"
                    " categories of this one"
                )
            levels = {level.rollup.bucket for level in tables.rollups}
            closing = moment.closing(table)
            first = min(min(piece.columns[0]) for piece in pieces)
            late = {bucket for bucket, each in closing.items() if first < each.stop}
            if late and not (late <= levels and noted == declared_types(tables.category)):
                raise StaleDeclaration(
                    f"these rows are late, and another server sums {table} in a way that this one"
                    " does not know: bring its categories up to date",
                    retry_after=10,
                )

    async def _formed(self, batch: Batch, forms: Sequence[Form], moment: _Moment) -> Batch:
        """Return the batch in the form in which an earlier attempt has stored it.

        Of two attempts at one time one has stored nothing, and it is not known which.
        """
        if not forms:
            return batch
        tried = [await in_thread(len(batch), in_form, batch, form) for form in forms]
        if len(tried) == 1:
            return tried[0]
        missing = [len((await self._rest_of(each, _Hashes(), moment)).batch) for each in tried]
        return tried[missing.index(min(missing))]

    async def _begin(self, batches: list[Batch], moment: _Moment) -> set[bytes]:
        """Note the keys as begun; return those that another server has begun at the same time.

        This server leaves them to it: perhaps both do, and then the sender comes again.
        """
        keyed = [batch for batch in batches if batch.key]
        if not keyed:
            return set()
        await self._note_state(keyed, BEGUN, moment)
        others = await self._appending.as_appended(
            f"SELECT DISTINCT noted FROM {_ATTEMPTS}"  # noqa: S608 - as above
            " WHERE attempt != {mine:Int64} AND begun > {since:Int64}",
            {
                "keys": [batch.key.hex() for batch in keyed],
                "mine": self._commit,
                "since": moment.now - SETTLED_SECONDS * _SECOND,
            },
        )
        contended = {bytes.fromhex(key) for (key,) in others}
        if left := [batch for batch in keyed if batch.key in contended]:
            await self._note_state(left, LEFT, moment)
        return contended

    async def _note_state(self, keyed: list[Batch], state: int, moment: _Moment) -> None:
        count = len(keyed)
        columns: Columns = {
            "key": [batch.key for batch in keyed],
            "received": [moment.now] * count,
            "answer": list(map(begun_answer if state == BEGUN else answer_of, keyed)),
            STATE: [state] * count,
            COMMIT: [self._commit] * count,
        }
        await self._appending.append(self._schema.dictionaries.batch, columns)

    async def _note_done(self, batches: list[Batch], moment: _Moment) -> None:
        if keyed := [batch for batch in batches if batch.key]:
            await self._note_state(keyed, DONE, moment)

    async def _left(
        self,
        batches: list[Batch],
        doubtful: Collection[bytes],
        ids: Mapping[str, int],
        moment: _Moment,
    ) -> list[_Rest]:
        """Return what is left to store of each batch, and what is there of it already."""
        return [
            await self._rest_of(batch, ids, moment)
            if batch.key in doubtful
            else _Rest(batch.key, batch, [])
            for batch in batches
        ]

    async def _rest_of(self, batch: Batch, ids: Mapping[str, int], moment: _Moment) -> _Rest:
        there, rest = [], []
        for rows in batch.tables:
            if rows.bucket:
                rest.append(rows)
                continue
            tables = self._tables(rows.category.table, [rows])
            each, missing = await found_rows(self._session, tables, rows, ids, moment.now)
            there.append(each)
            rest.append(missing)
        return _Rest(batch.key, replace(batch, tables=rest), there)

    async def _complete(self, key: bytes, there: Found, sums: LateSums, moment: _Moment) -> None:
        """Add the sums of late rows that are there, unless they are there too."""
        category = there.tables.category
        levels = moment.closing(category.table)
        by_commit = sums.of_rows(key, category, there.rows, there.late, levels)
        for level in there.tables.rollups:
            wanted = by_commit.get(level.rollup.bucket, {})
            if not wanted:
                continue
            name = str(level.table.name)
            rows = await self._session.rows(
                f"SELECT DISTINCT {COMMIT} FROM `{name}`"  # noqa: S608 - declared
                f" WHERE {COMMIT} IN {{commits:Array(Int64)}}",
                {"commits": [*wanted]},
            )
            stored = {int(commit) for (commit,) in rows}
            for commit, each in wanted.items():
                if commit not in stored:
                    sums.add(there.tables, level.rollup.bucket, each)

    async def _store_rows(
        self, batches: list[Batch], ids: Mapping[str, int], moment: _Moment
    ) -> None:
        for table, pieces in by_table(batches).items():
            tables = self._tables(table, pieces)
            count = sum(map(len, pieces))
            closing = moment.closing(table)
            rows = await in_thread(count, merged, pieces, ids)
            rows = await in_thread(count, self._as_stored, tables, rows, closing)
            rows[UNTIL] = [moment.until] * count
            await self._appending.append(tables.rows, rows, f"{self._commit:x} {table}")

    def _as_stored(
        self, tables: CategoryTables, rows: Columns, closing: Mapping[int, Closing]
    ) -> Columns:
        times, hosts = rows["time"], rows["hostname"]
        alike = [rows[name] for name in hashed_columns(tables.rows)]
        numbers = self._known.twins.numbers(str(tables.rows.name), times, hosts, alike)
        return {**rows, LATE: late_marks(times, closing), TWIN: numbers}

    async def _store_sums(self, sums: LateSums, moment: _Moment) -> None:
        for tables, bucket, groups in sums.by_level():
            level = next(each for each in tables.rollups if each.rollup.bucket == bucket)
            columns = sums_columns(tables.category, groups)
            columns[UNTIL] = [moment.until] * len(columns["time"])
            token = f"{self._commit:x} {level.table.name}"
            await self._appending.append(level.table, columns, token)


def late_marks(times: Sequence[int], closing: Mapping[int, Closing]) -> list[int]:
    """Return for each row the marks of the levels that it is late for, or 0."""
    last = max((each.stop for each in closing.values()), default=None)
    if last is None or min(times) >= last:
        return [0] * len(times)
    known: dict[int, int] = {}
    for time in times:
        if time not in known:
            known[time] = marks_of(closing, time)
    return [known[time] for time in times]
