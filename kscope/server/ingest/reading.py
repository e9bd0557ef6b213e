"""One pass over a body: its members are read in steps, and its faults collected.

json_reading.py and pack_reading.py know how members and arrays are written.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kscope.declare import envelope
from kscope.declare.columnar import parts
from kscope.declare.model import TIME, Catalog, Category, no_rows
from kscope.declare.types.time import microseconds
from kscope.errors import did_you_mean
from kscope.generate.jsonschema import body_schema
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.array_kinds import Path, TableKinds
from kscope.server.ingest.arrays import (
    MAX_VALUES,
    STACKS,
    STRINGS,
    Elements,
    RowArray,
    TextArray,
    too_many_values,
)
from kscope.server.ingest.columns import VALUES, ColumnTable
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.ingest.fast_decode import TypedRows
from kscope.server.ingest.row_faults import (
    MAX_FAULTS,
    Faults,
    RowSchema,
    UnknownName,
    short,
    validator,
    wrong_value,
)

# Bytes that are read beyond the first fault, in order to name others.
_READ_ON = 1024 * 1024
# Bounds of other values than long arrays: a name or a time.
SMALL_BYTES, SMALL_VALUES = 8192, 256
# The amount of unknown members that is skipped, in order to name others.
_SKIPPED_BYTES = 64 * 1024


class Checks:
    """All that decides on the bodies of one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.typed = {category.table: TypedRows(category) for category in catalog.stored}
        self.schemas = {category.table: RowSchema(category) for category in catalog.stored}
        self.kinds = {category.table: TableKinds(category) for category in catalog.stored}
        self.envelope = validator(body_schema(catalog.stored))


class EnoughError(Exception):
    """Enough names are unknown, or skipping the value of one takes too long."""


@dataclass
class BodyReading:
    """Without `keep` rows are checked and not kept. With `rows_only` columns are refused."""

    checks: Checks
    text: bytes | bytearray
    keep: Callable[[int], None] | None = None
    rows_only: bool = False
    envelope: dict[str, Any] = field(default_factory=dict)
    stacks: TextArray = field(default_factory=lambda: TextArray(STACKS))
    strings: TextArray = field(default_factory=lambda: TextArray(STRINGS))
    tables: dict[str, RowArray | ColumnTable] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    _unknown: list[str] = field(default_factory=list)
    _skippable: int = _SKIPPED_BYTES
    _first_fault: int | None = None

    @property
    def at(self) -> int:
        """Return the number of bytes that have been read."""
        raise NotImplementedError

    def members(self, path: Path) -> Iterator[str]:
        """Yield the names in the object there; at each, the reading is before its value.

        Raise TooLargeNameError, or HttpProblem with the path.
        """
        raise NotImplementedError

    def opens(self) -> bytes:
        """Return `{` before an object, `[` before an array."""
        raise NotImplementedError

    def small(self, path: Path) -> Any:
        """Return a value that is not large; raise HttpProblem for another one."""
        raise NotImplementedError

    def skip(self, most: int) -> int:
        """Return the bytes of the value that was skipped. Raise EnoughError beyond `most`."""
        raise NotImplementedError

    def fill(self, elements: Elements) -> Steps[None]:
        """Read an array into `elements`."""
        raise NotImplementedError

    def body(self) -> Steps[None]:
        """Read all of the body."""
        for name in self._once([]):
            yield from self._member(name)

    def _once(self, path: Path) -> Iterator[str]:
        """Yield the names in an object; raise HttpProblem if one is there twice."""
        seen = set()
        for name in self.members(path):
            if name in seen:
                raise refusal([*path, name], "is there twice; send it once")
            seen.add(name)
            yield name

    def run(self) -> Steps[None]:
        """Raise HttpProblem."""
        try:
            yield from self.body()
        except TooLargeNameError as error:
            self._unknown.append(error.name)
        except EnoughError:
            pass
        if self._unknown:
            yield Lane.DOUBT
            raise self._unknown_names()
        yield from self._check_envelope()
        for table in self.tables.values():
            yield from table.check(self.stacks, self.strings, self.faults)
        if self.faults.found:
            yield Lane.DOUBT
            raise self.faults.problem()

    def in_order(self) -> Iterator[RowArray | ColumnTable]:
        """Yield the body's tables in the order of the catalog."""
        return (self.tables[name] for name in self.checks.schemas if name in self.tables)

    def _member(self, name: str) -> Steps[None]:
        opens = self.opens()
        category = self.checks.catalog.get(name)
        if category is not None and category.union:
            raise refusal([name], no_rows(category))
        if name not in envelope.NAMES and category is None:
            self._unknown.append(name)
            self._skip(len(self._unknown))
        elif opens == b"[" and name == "stacks":
            yield from self.fill(self.stacks)
        elif opens == b"[" and name == "strings":
            yield from self.fill(self.strings)
        elif opens == b"[" and category is not None:
            rows = RowArray(self.checks.typed[name], self.checks.schemas[name], self.keep)
            self.tables[name] = rows
            yield from self.fill(rows)
        elif opens == b"{" and category is not None and not self.rows_only:
            yield from self._columns(category)
        elif category is not None:
            raise refusal([name], self._no_table(self.small([name])))
        else:
            self.envelope[name] = self.small([name])

    def _no_table(self, value: Any) -> str:
        if self.rows_only:
            return f"{short(value)} is not an array of rows; columns are taken at /api/v1/ingest"
        return f"{short(value)} is neither an array of rows nor an object of columns"

    def _columns(self, category: Category) -> Steps[None]:
        table = ColumnTable(self.checks.kinds[category.table], self.keep)
        self.tables[category.table] = table
        unknown = 0
        try:
            for name in self._once([category.table]):
                if name in table.kinds.columns:
                    yield from self._column(table, name)
                    table.finish(name)
                    self.stop_in_time()
                    continue
                unknown += 1
                self._unknown_column(table, name)
                self._skip(unknown)
        except TooLargeNameError as error:
            self._unknown_column(table, error.name)
            raise self.faults.problem() from None
        except EnoughError:
            raise self.faults.problem() from None

    def _column(self, table: ColumnTable, name: str) -> Steps[None]:
        path = [table.kinds.category.table, name]
        kinds = table.kinds.parts[name]
        if (opens := self.opens()) == b"[":
            yield from self.fill(table.array(name, VALUES))
        elif opens == b"{" and kinds:
            missing = dict.fromkeys(kinds)
            for part in self._once(path):
                if part not in kinds:
                    raise refusal([*path, part], f"is not known here: {_forms(table, name)}")
                if self.opens() != b"[":
                    raise refusal([*path, part], f"{short(self.small(path))} is not an array")
                yield from self.fill(table.array(name, part))
                missing.pop(part)
            for part in missing:
                raise refusal(path, f"'{part}' is missing: {_forms(table, name)}")
        elif opens == b"{":
            raise refusal(path, f"an object is not a column: {_forms(table, name)}")
        else:
            raise refusal(path, f"{short(self.small(path))} is not a column: {_forms(table, name)}")

    def _unknown_column(self, table: ColumnTable, name: str) -> None:
        near = did_you_mean(name, table.kinds.columns, listed=False)
        path = [table.kinds.category.table, name]
        self.faults.add(path, f"there is no column {short(name)}{near}", unknown=True)

    def _skip(self, unknown: int) -> None:
        """Skip the value of an unknown name, if that is fast: other names may be unknown too."""
        self._skippable -= self.skip(self._skippable)
        if unknown > MAX_FAULTS or self._skippable <= 0:
            raise EnoughError

    def stop_in_time(self) -> None:
        if sum(table.size for table in self.tables.values()) > MAX_VALUES:
            raise too_many_values()
        if not self.faults.found:
            return
        if self._first_fault is None:
            self._first_fault = self.at
        if self.faults.full or self.at > self._first_fault + _READ_ON:
            raise self.faults.problem()

    def _check_envelope(self) -> Steps[None]:
        if not self.checks.envelope.is_valid(self.envelope):
            yield Lane.DOUBT
            for error in islice(self.checks.envelope.iter_errors(self.envelope), MAX_FAULTS):
                self._envelope_fault(error)
        elif "time" in self.envelope:
            try:
                microseconds(self.envelope["time"])
            except ValueError as error:
                self.faults.add(["time"], str(error))

    def _envelope_fault(self, error: Any) -> None:
        path = list(error.instance_path)
        kind = error.kind.as_dict()
        if "property" in kind:
            self.faults.add(path, f"'{kind['property']}' is missing")
        else:
            self.faults.add(path, wrong_value(error, TIME if path == ["time"] else None))

    def _unknown_names(self) -> UnknownName:
        tables = [category.table for category in self.checks.catalog.stored]
        faults = Faults()
        for name in self._unknown:
            near = did_you_mean(name, tables, listed=False)
            detail = f"there is no category {short(name)}{near}"
            faults.add([name], detail, unknown=True)
        return UnknownName(422, faults.found[0].detail, faults.found[:MAX_FAULTS])


class TooLargeNameError(Exception):
    """A member's name that is longer than any valid one; `name` has its first characters."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _forms(table: ColumnTable, name: str) -> str:
    given = parts(table.kinds.columns[name].type)
    instead = ", ".join(f'"{part}": [...]' for part in given)
    return f"send an array of values{f' or {{{instead}}}' if instead else ''}"


def refusal(path: Sequence[str | int], detail: str) -> HttpProblem:
    faults = Faults()
    faults.add(path, detail)
    return faults.problem()
