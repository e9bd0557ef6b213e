"""The declared data types, as read from YAML and checked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kscope.declare.receive import Receive
from kscope.declare.types import TYPES
from kscope.declare.types.base import ColumnType, Role


@dataclass(frozen=True, slots=True)
class Column:
    """`default` is meaningful only where `optional`: a row may then leave the column out.

    `rate` names an elapsed column's time per time, its first word the short unit: `CPUs busy`.
    `sampled_by` names the column of counted samples; an elapsed column is their time.
    `words` are all values that it can have, in their order; empty if it can have any.
    """

    name: str
    type: ColumnType
    prettyname: str
    unit: str = ""
    help: str = ""
    rate: str = ""
    sampled_by: str = ""
    optional: bool = False
    default: Any = field(default=None, hash=False)
    index: bool = False
    words: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)

    @property
    def nullable(self) -> bool:
        """A timestamp with `default: null`: a row may be without it."""
        return self.optional and self.default is None


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart to draw, by names of columns. Without a value it counts rows.

    Other names can be empty. Without an aggregate the value's type decides.
    """

    kind: str
    title: str
    value: str = ""
    stack: str = ""
    by: str = ""
    aggregate: str = ""


@dataclass(frozen=True, slots=True)
class Rollup:
    """Rows summed per `bucket` seconds, kept for `keep` seconds."""

    bucket: int
    keep: int


@dataclass(frozen=True, slots=True)
class Option:
    """A flag of `kscope agent <table>` that becomes the constant `define` in the program.

    With `choices` the flag takes a word, and the constant is the number of that word. `least` and
    `most` bound a number.
    """

    name: str
    type: ColumnType
    default: Any
    define: str
    help: str = ""
    choices: Mapping[str, int] = field(default_factory=dict, hash=False)
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Alias:
    """Another flag for an option, or for one of the flags of every probe, as another tool has it.

    It takes what the option takes; with `value` it takes nothing and stands for that value; with
    `values` it takes one of the keys.
    """

    flag: str
    option: str
    value: Any = field(default=None, hash=False)
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a column's value comes from: fields of a map's key or value, as `key.comm`.

    Two fields make one stack, the first innermost: `[key.kstack, key.ustack]`. `names` turns a
    number into a word, `decode` one of a kind that the agent knows: a signal, a device. `enum`
    takes the words from an enum of the running kernel.
    """

    fields: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict, hash=False)
    decode: str = ""
    enum: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Collect:
    """How one BPF map becomes rows. `kind` is map, histogram or events; `name` is the map's."""

    kind: str
    name: str
    columns: Mapping[str, Source] = field(hash=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Attach:
    """Where one of the program's functions runs: `kprobe:finish_task_switch`, `perf:cpu-clock@99`.

    With `define` it is optional: the program finds that constant 1 where the kernel has the place,
    else 0.
    """

    to: str
    run: str
    define: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """`program` is a file in the `probes/` folder beside the category's own, or `script` inline.

    `needs` names what else the kernel must offer, such as `btf`. `detect` maps a constant of the
    program to what it stands for: 1 where the kernel offers it, else 0. With `children` the pid
    that is traced stands for its descendants too. `provides` names the contracts that the program
    fulfils.
    """

    engine: str
    program: Path | None
    script: str
    options: tuple[Option, ...]
    collect: Collect
    attach: tuple[Attach, ...] = ()
    needs: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    provides_line: int = field(default=0, compare=False)
    detect: Mapping[str, str] = field(default_factory=dict, hash=False)
    children: bool = False
    aliases: tuple[Alias, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Given:
    """A filter as the API takes it, such as `stack__regex` and its text; `place` is in the file."""

    parameter: str
    text: str
    place: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Preset:
    """Filters under one name: rows that pass all of them are shown.

    The page asks for those that are `default`; the API applies none unless it is asked.
    """

    name: str
    filters: tuple[Given, ...]
    default: bool = False
    help: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A state of a union: rows of the table that pass the filters and no earlier member has.

    With `hidden_by`, the name of a preset of that table, only rows that the preset hides.
    """

    state: str
    table: str
    filters: tuple[Given, ...] = ()
    hidden_by: str = ""
    line: int = field(default=0, compare=False)

    @property
    def is_rest(self) -> bool:
        """It takes all rows that are left."""
        return not self.filters and not self.hidden_by


@dataclass(frozen=True, slots=True)
class Category:
    """One data type. `retention` is in seconds; None keeps its rows permanently.

    A category with a `union` has no table: its rows are those of its members. Its `columns`
    and `charts` are known once all files are read, and `lines` are those of its file.

    `declaration` is what its file says, as plain values, without the probe.
    """

    table: str
    prettyname: str
    description: str
    columns: tuple[Column, ...]
    charts: tuple[Chart, ...]
    retention: int | None = None
    rollup: tuple[Rollup, ...] = ()
    probe: Probe | None = None
    presets: tuple[Preset, ...] = ()
    union: tuple[Member, ...] = ()
    receive: tuple[Receive, ...] = ()
    declaration: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    lines: Mapping[tuple[str | int, ...], int] = field(
        default_factory=dict, compare=False, repr=False
    )
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    @property
    def all_columns(self) -> tuple[Column, ...]:
        return (*IMPLICIT_COLUMNS, *self.columns)

    def column(self, name: str) -> Column | None:
        return next((column for column in self.all_columns if column.name == name), None)

    def with_role(self, *roles: Role) -> tuple[Column, ...]:
        return tuple(column for column in self.all_columns if column.type.role in roles)

    @property
    def count(self) -> Column | None:
        """The column that says how many events a row sums; None where each row is one."""
        counts = [column for column in self.columns if column.type.counts_events]
        return counts[0] if len(counts) == 1 else None

    def weight_of(self, column: Column) -> Column | None:
        """How many events a row's value is the sum of; None where it is of one."""
        sums = column.type.role is Role.VALUE and column.type.aggregate == "sum"
        return self.count if sums and self.count != column else None


def no_rows(union: Category) -> str:
    """Say why a union takes no rows, and which categories do."""
    tables = ", ".join(dict.fromkeys(member.table for member in union.union))
    return f"is a union, which takes no rows: send them to its members, {tables}"


TIME = Column("time", TYPES["timestamp"], "Time", help="when the row's interval ended, UTC")
HOSTNAME = Column("hostname", TYPES["string"], "Host", help="the host that sent the row")
IMPLICIT_COLUMNS = (TIME, HOSTNAME)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All declared categories, in the order of their table names."""

    categories: tuple[Category, ...]

    def __iter__(self) -> Iterator[Category]:
        return iter(self.categories)

    @property
    def stored(self) -> tuple[Category, ...]:
        """Those with tables: all but unions."""
        return tuple(category for category in self.categories if not category.union)

    def get(self, table: str) -> Category | None:
        return next((category for category in self.categories if category.table == table), None)
