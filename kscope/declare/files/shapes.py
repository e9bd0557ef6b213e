"""The shape of a category file: one dataclass per mapping, which gives the JSON Schema too."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

from kscope.declare import aggregates
from kscope.declare.charts import KINDS
from kscope.declare.engines import ENGINES
from kscope.declare.engines.base import CONTRACTS, SOURCES
from kscope.declare.receive import PROTOCOLS, SAMPLE_TYPE, SAMPLE_TYPE_IS
from kscope.declare.types import TYPES
from kscope.declare.types.base import INT64_MAX
from kscope.declare.types.wire import UNSET, Meta, UnsetType, json_schema
from kscope.declare.units import PATTERN as DURATION

COLLECT_KINDS = ("map", "histogram", "events")
# Columns, charts, options: of each.
MAX_ENTRIES = 200
NAME = "^[a-z][a-z0-9_]{0,39}$"
FIELD = "^(key|value|event)(\\.[A-Za-z0-9_]{1,64}){0,8}$"
# The texts that the agent can make from a number, each by a function of kscope.agent.rows.decode.
DECODES = (
    "arguments", "cgroup", "device", "errno", "hex", "ksym", "nanoseconds", "signal", "syscall",
    "user",
)  # fmt: skip
PLACE = "^(kprobe|tracepoint|perf):[A-Za-z0-9_:@-]{1,200}$"
NEED = "^(btf|cgroup2|(kprobe|tracepoint):[A-Za-z0-9_:]{1,200})$"
ENUM = "^[A-Za-z_][A-Za-z0-9_]{0,127}$"
CONSTANT = "^[A-Z][A-Z0-9_]{0,39}$"
FUNCTION = "^[A-Za-z_][A-Za-z0-9_]{0,63}$"
PRESET = "^[^;\\s\\x00-\\x1f-][^;\\x00-\\x1f]{0,59}$"
FLAG = "^[a-z][a-z0-9-]{0,30}$"
NUMBER = "^(-?[0-9]{1,20}|0x[0-9a-fA-F]{1,16})$"
# Names of the patterns, for messages.
PATTERNS = {
    DURATION: "a duration such as 90s, 15m, 12h, 14d or 2y",
    FIELD: "a field such as key, key.comm, value.us or event.pid",
    PLACE: "a place such as kprobe:FUNCTION, tracepoint:GROUP:NAME or perf:cpu-clock@RATE",
    NEED: "one of btf, cgroup2, kprobe:FUNCTION, tracepoint:GROUP:NAME",
    CONSTANT: "a constant's name: capital letters, digits and _, a letter first, at most 40",
    FUNCTION: "a C function's name, of at most 64 characters",
    PRESET: "a name without ; and control characters, no - first, of at most 60",
    FLAG: "a flag's name: lower case letters, digits and -, a letter first, at most 31",
    ENUM: "the name of an enum of the kernel, such as skb_drop_reason",
    NUMBER: "a whole number, such as 16 or 0x10",
    SAMPLE_TYPE: SAMPLE_TYPE_IS,
}
# Of the numbers that a map of `names` has words for, and of a script's characters.
_MAX_NAMES = 1000
_MAX_SCRIPT = 64 * 1024
_FLAGS = [name for name, row in TYPES.items() if row.option]
_VALUE = {"type": ["integer", "number", "string", "boolean"]}
# Of a preset, and the filters of one parameter.
_MAX_FILTERS = 50
_FILTER = {
    "minProperties": 1,
    "maxProperties": _MAX_FILTERS,
    "additionalProperties": {
        "type": ["string", "number", "boolean", "array"],
        "items": _VALUE,
        "minItems": 1,
        "maxItems": _MAX_FILTERS,
    },
}
_VALUES = {"type": "object", "minProperties": 1, "additionalProperties": _VALUE}
_ALSO = {
    "propertyNames": {"pattern": "^([A-Za-z]|[a-z][a-z0-9-]{1,30})$"},
    "additionalProperties": {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": {"anyOf": [_VALUE, _VALUES]},
            },
        ]
    },
}

_Int64 = Annotated[int, Meta(ge=-INT64_MAX - 1, le=INT64_MAX)]
_Field = Annotated[str, Meta(pattern=FIELD)]
_Need = Annotated[str, Meta(pattern=NEED)]
_Duration = Annotated[str, Meta(pattern=DURATION)]


def _is(text: str, **bounds: Any) -> Meta:
    return Meta(description=text, **bounds)


def _line(text: str, limit: int = 100) -> Meta:
    return Meta(min_length=1, max_length=limit, description=text)


def _listed(text: str, least: int = 1) -> Meta:
    return Meta(min_length=least, max_length=MAX_ENTRIES, description=text)


def _one_of(words: Iterable[str], text: str | None = None) -> Meta:
    """Use with type Any: a check of the type would report the same fault again."""
    return Meta(description=text, json={"enum": [*words]})


def _exactly_one(keys: Iterable[str], text: str) -> Meta:
    return Meta(description=text, json={"oneOf": [{"required": [k]} for k in keys]})


@dataclass(frozen=True, kw_only=True)
class ColumnFile:
    name: Annotated[str, _is("the column's name, and the key in a row", pattern=NAME)]
    type: Annotated[
        Any, _one_of(TYPES, "; ".join(f"{row.name}: {row.help}" for row in TYPES.values()))
    ]
    prettyname: Annotated[str, _line("the title that the page shows")] = ""
    unit: Annotated[str, _line("the unit that the page shows", 20)] = ""
    help: Annotated[str, _line("one sentence of explanation", 500)] = ""
    rate: Annotated[
        str,
        _line(
            "of an elapsed column: how its time per time is called, the short unit first, as in"
            " `threads waiting`",
            40,
        ),
    ] = ""
    sampled_by: Annotated[
        str,
        _is(
            "of an elapsed column: the count column of the samples whose time it is. A recording"
            " that only counts samples then fills both, by its rate",
            max_length=40,
        ),
    ] = ""
    default: Annotated[Any, _is("the value of rows that leave the column out")] = UNSET
    index: Annotated[bool, _is("faster filters on it, for more disk space")] = False


@dataclass(frozen=True, kw_only=True)
class ChartFile:
    kind: Annotated[
        Any, _one_of(KINDS, "; ".join(f"{kind.name}: {kind.help}" for kind in KINDS.values()))
    ]
    title: Annotated[str, _line("the title of the chart")] = ""
    value: Annotated[
        str, _is("the column that is summed; left out, or `rows`: rows are counted", max_length=40)
    ] = ""
    stack: Annotated[str, _is("the column of stacks", max_length=40)] = ""
    by: Annotated[str, _is("the column that splits it", max_length=40)] = ""
    aggregate: Annotated[
        Any,
        _one_of(aggregates.NAMES, "how values are combined; left out: by the value's type"),
    ] = ""


Filters = Annotated[
    dict[Annotated[str, Meta(max_length=100)], Any],
    _is(
        "filters as the API takes them: `column: value`, `column__operator: value`; of a list, each"
        " is one filter; all of them must hold"
    ),
    Meta(json=_FILTER),
]


@dataclass(frozen=True, kw_only=True)
class PresetFile:
    name: Annotated[str, _is("its name, and the value of `preset`", pattern=PRESET)]
    filter: Filters
    default: Annotated[bool, _is("the page applies it until a person switches it off")] = False
    help: Annotated[str, _line("one sentence of explanation", 500)] = ""


@dataclass(frozen=True, kw_only=True)
class MemberFile:
    table: Annotated[str, _is("the table of another category", max_length=40)]
    filter: Filters = field(default_factory=dict)
    hidden_by: Annotated[str, _line("a preset of that table: rows that it hides", 60)] = ""


# Of a union, and of what it may unite.
_MAX_MEMBERS = 20
_MEMBER = json_schema(MemberFile)
_UNION = {
    "minProperties": 1,
    "maxProperties": _MAX_MEMBERS,
    "additionalProperties": {**_MEMBER, "type": ["string", "object"]},
}


@dataclass(frozen=True, kw_only=True)
class OptionFile:
    type: Annotated[Any, _one_of(_FLAGS, "the column type of the flag's value")]
    default: Annotated[
        Any,
        _is("the value without the flag", json={**_VALUE, "maxLength": 1024}),
    ]
    define: Annotated[str, _is("the constant that the program finds it in", pattern=CONSTANT)]
    choices: Annotated[
        dict[Annotated[str, Meta(max_length=100)], _Int64],
        _listed("the words that the flag accepts, with the number of each"),
    ] = field(default_factory=dict)
    least: Annotated[_Int64, _is("the smallest number that it accepts")] | UnsetType = UNSET
    most: Annotated[_Int64, _is("the largest number that it accepts")] | UnsetType = UNSET
    help: Annotated[str, _line("one sentence for --help", 500)] = ""


@dataclass(frozen=True, kw_only=True)
class AttachFile:
    to: Annotated[
        str,
        _is(
            "kprobe:FUNCTION, tracepoint:GROUP:NAME or perf:cpu-clock@RATE, the rate a number or"
            " an option's name",
            pattern=PLACE,
        ),
    ]
    run: Annotated[str, _is("the program's function", pattern=FUNCTION)]
    define: Annotated[
        str,
        _is(
            "makes it optional: a constant that is 1 if the kernel has it, else 0", pattern=CONSTANT
        ),
    ] = ""


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    place: Annotated[_Field, _is("the field that holds the number")] = field(
        metadata={"key": "from"}
    )
    names: Annotated[
        dict[Annotated[str, Meta(pattern=NUMBER)], Annotated[str, Meta(max_length=256)]],
        _is("number: word; a number without one stays", max_length=_MAX_NAMES),
    ] = field(default_factory=dict)
    decode: Annotated[Any, _one_of(DECODES, "the meaning of the number")] = field(
        default="", metadata={"key": "as"}
    )
    enum: Annotated[
        str,
        _is("an enum of the kernel, which has the words, such as skb_drop_reason", pattern=ENUM),
    ] = ""


Sources = Annotated[
    _Field | Annotated[list[_Field], Meta(min_length=1, max_length=4)] | SourceFile,
    _is(
        "a field of the map's key or value, or of the event; `names`, `as` or `enum` turn a number"
        " into a word; a list is one stack, the innermost first"
    ),
]


@dataclass(frozen=True, kw_only=True)
class CollectFile:
    map: Annotated[str, _line("the program's map")] = ""
    histogram: Annotated[str, _line("the program's histogram")] = ""
    events: Annotated[str, _line("the program's events")] = ""
    columns: Annotated[
        dict[Annotated[str, Meta(max_length=40)], Sources],
        _is("column: where its value comes from", max_length=MAX_ENTRIES),
    ]


@dataclass(frozen=True, kw_only=True)
class ProbeFile:
    engine: Annotated[
        Any, _one_of(ENGINES, f"the tool that runs the program: {' or '.join(ENGINES)}")
    ]
    program: Annotated[
        str, _line("for bcc: a file in the probes/ folder next to the category's folder")
    ] = ""
    script: Annotated[str, _line("for bpftrace: the script", _MAX_SCRIPT)] = ""
    options: Annotated[
        dict[Annotated[str, Meta(pattern=FLAG)], OptionFile],
        _is("flags of `kscope agent`, and constants in the program", max_length=MAX_ENTRIES),
    ] = field(default_factory=dict)
    also: Annotated[
        dict[str, Any],
        _is(
            "further flags, as another tool has them: a letter or a name, and the option that it"
            " stands for; `{option: value}` for one value of it, `{option: {1: value}}` for a flag"
            " that takes a key of the list"
        ),
        Meta(json=_ALSO),
    ] = field(default_factory=dict)
    attach: Annotated[list[AttachFile], _listed("where the program's functions run")] = field(
        default_factory=list
    )
    needs: Annotated[list[_Need], _listed("further features that the kernel must support")] = field(
        default_factory=list
    )
    provides: Annotated[
        list[Annotated[Any, _one_of(CONTRACTS)]],
        _listed("contracts of kscope.h that the program of bcc fulfils, which the agent checks"),
    ] = field(default_factory=list)
    detect: Annotated[
        dict[Annotated[str, Meta(pattern=CONSTANT)], _Need],
        _is(
            "constants of the program: 1 if the kernel supports this, else 0: btf,"
            " tracepoint:GROUP:NAME or tracepoint:GROUP:NAME:FIELD",
            max_length=MAX_ENTRIES,
        ),
    ] = field(default_factory=dict)
    children: Annotated[
        bool,
        _is("--pid includes the process's descendants, for probes of new processes"),
    ] = False
    collect: Annotated[
        CollectFile, _exactly_one(COLLECT_KINDS, "how the program's data becomes rows")
    ]


# Of a column, the labels that may fill it.
_MAX_LABELS = 20
_LABEL = {"type": "string", "minLength": 1, "maxLength": 200}
_LABELS = {
    "additionalProperties": {
        **_LABEL,
        "type": ["string", "array"],
        "items": _LABEL,
        "minItems": 1,
        "maxItems": _MAX_LABELS,
    }
}


@dataclass(frozen=True, kw_only=True)
class ReceiveProtocolFile:
    types: Annotated[
        dict[Annotated[str, Meta(pattern=SAMPLE_TYPE)], Annotated[str, Meta(max_length=40)]],
        _is(
            "sample type: value column, as {cpu/nanoseconds: elapsed}; `NAME:` before it is the"
            " profile's name, ` every TYPE/UNIT` behind it what lies between two samples",
            min_length=1,
            max_length=MAX_ENTRIES,
        ),
    ]
    columns: Annotated[
        dict[Annotated[str, Meta(max_length=40)], Any],
        _is("column: the label that fills it, or a list, the first that a sample has"),
        Meta(max_length=MAX_ENTRIES, json=_LABELS),
    ] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReceiveFile:
    otlp: Annotated[ReceiveProtocolFile, _is(PROTOCOLS["otlp"])] | UnsetType = UNSET
    pyroscope: Annotated[ReceiveProtocolFile, _is(PROTOCOLS["pyroscope"])] | UnsetType = UNSET


@dataclass(frozen=True, kw_only=True)
class CategoryFile:
    """One data type: a table, its columns, and how it is shown and collected."""

    table: Annotated[
        str, _is("the table's name, and the key of its rows in a request", pattern=NAME)
    ]
    prettyname: Annotated[str, _line("the title of the category")] = ""
    description: Annotated[str, _line("one sentence on what a row is", 500)] = ""
    columns: Annotated[list[ColumnFile], _listed("hostname and time are in every table")] = field(
        default_factory=list
    )
    union: Annotated[
        dict[Annotated[str, Meta(pattern=PRESET)], Any],
        _is(
            "instead of columns: rows of other categories under one name, as"
            " {on CPU: profile, off CPU: offcputime}; state: table, or {table:, filter:,"
            " hidden_by:}; the first that fits has the row"
        ),
        Meta(json=_UNION),
    ] = field(default_factory=dict)
    states: Annotated[
        list[str], _listed("of a union: its states as they are shown; left out: as in `union`", 0)
    ] = field(default_factory=list)
    charts: Annotated[list[ChartFile], _listed("left out: derived from the column types", 0)] = (
        field(default_factory=list)
    )
    presets: Annotated[
        list[PresetFile], Meta(max_length=20, description="filters under one name, for one click")
    ] = field(default_factory=list)
    retention: (
        Annotated[_Duration, _is("how long rows are kept; left out: permanently")] | UnsetType
    ) = UNSET
    rollup: Annotated[
        dict[_Duration, Annotated[_Duration, _is("how long this bucket is kept")]],
        _is("bucket: how long it is kept, as {1h: 90d, 1d: 2y}", max_length=6),
    ] = field(default_factory=dict)
    receive: (
        Annotated[
            ReceiveFile,
            _is(
                "the profiles of other senders whose samples are rows, if `receive:` of"
                " kernelscope.yaml switches their protocol on",
                json={"minProperties": 1},
            ),
        ]
        | UnsetType
    ) = UNSET
    probe: (
        Annotated[
            ProbeFile,
            _exactly_one(
                SOURCES,
                "the program that `kscope agent` runs to collect rows; left out: other senders",
            ),
        ]
        | UnsetType
    ) = UNSET


def entries(listed: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the mappings of a list with their places, as far as a list may be long."""
    for i, entry in enumerate(listed[:MAX_ENTRIES] if isinstance(listed, list) else ()):
        if isinstance(entry, dict):
            yield i, entry


@cache
def category_schema() -> dict[str, Any]:
    """Return the JSON Schema 2020-12 of a category file, without references."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    either = {"oneOf": [{"required": [key]} for key in ("columns", "union")]}
    return dialect | {"title": "A Kernelscope category"} | json_schema(CategoryFile) | either
