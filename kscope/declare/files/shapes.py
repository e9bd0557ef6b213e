"""The shape of a category file, as JSON Schema 2020-12: for the loader, and for editors."""

from __future__ import annotations

from typing import Any

from kscope.declare import aggregates
from kscope.declare.charts import KINDS
from kscope.declare.contracts import CONTRACTS
from kscope.declare.engines import ENGINES
from kscope.declare.engines.base import SOURCES
from kscope.declare.types import TYPES
from kscope.declare.types.base import INT64_MAX
from kscope.declare.units import PATTERN as DURATION

COLLECT_KINDS = ("map", "histogram", "events")
# Columns, charts, options: of each.
MAX_ENTRIES = 200
NAME = "^[a-z][a-z0-9_]{0,39}$"
FIELD = "^(key|value|event)(\\.[A-Za-z0-9_]{1,64}){0,8}$"
# What the agent can turn a number into; kscope.agent.rows.decode holds one function for each.
DECODES = (
    "arguments", "cgroup", "device", "errno", "hex", "ksym", "nanoseconds", "signal", "syscall",
    "user",
)  # fmt: skip
PLACE = "^(kprobe|tracepoint|perf):[A-Za-z0-9_:@-]{1,200}$"
NEED = "^(btf|cgroup2|(kprobe|tracepoint):[A-Za-z0-9_:]{1,200})$"
ENUM = "^[A-Za-z_][A-Za-z0-9_]{0,127}$"
CONSTANT = "^[A-Z][A-Z0-9_]{0,39}$"
FUNCTION = "^[A-Za-z_][A-Za-z0-9_]{0,63}$"
FLAG = "^[a-z][a-z0-9-]{0,30}$"
NUMBER = "^(-?[0-9]{1,20}|0x[0-9a-fA-F]{1,16})$"
# What a text is not that does not match.
PATTERNS = {
    DURATION: "a duration such as 90s, 15m, 12h, 14d or 2y",
    FIELD: "a field such as key, key.comm, value.us or event.pid",
    PLACE: "a place such as kprobe:FUNCTION, tracepoint:GROUP:NAME or perf:cpu-clock@RATE",
    NEED: "one of btf, cgroup2, kprobe:FUNCTION, tracepoint:GROUP:NAME",
    CONSTANT: "a constant's name: capital letters, digits and _, a letter first, at most 40",
    FUNCTION: "a C function's name, of at most 64 characters",
    FLAG: "a flag's name: lower case letters, digits and -, a letter first, at most 31",
    ENUM: "the name of an enum of the kernel, such as skb_drop_reason",
    NUMBER: "a whole number, such as 16 or 0x10",
}
# Of the numbers that a map of `names` has words for, and of a script's characters.
_MAX_NAMES = 1000
_MAX_SCRIPT = 64 * 1024
_INT64 = {"type": "integer", "minimum": -INT64_MAX - 1, "maximum": INT64_MAX}


def category_schema() -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Kernelscope category",
        "description": "One data type: a table, its columns, and how it is shown and collected.",
        **_object(
            {
                "table": _name("the table's name, and the key of its rows in a request"),
                "prettyname": _line("what people call it"),
                "description": _line("one sentence on what a row is", limit=500),
                "columns": _array(_column(), 1, "hostname and time are in every table"),
                "charts": _array(_chart(), 0, "left out: derived from the column types"),
                "retention": _duration("how long rows are kept; left out: for ever"),
                "rollup": _rollup(),
                "probe": _probe(),
            },
            required=("table", "columns"),
        ),
    }


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _name(description: str) -> dict[str, Any]:
    return {"type": "string", "pattern": NAME, "description": description}


def _line(description: str, limit: int = 100) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": limit, "description": description}


def _reference(description: str) -> dict[str, Any]:
    return {"type": "string", "maxLength": 40, "description": description}


def _array(items: dict[str, Any], least: int, description: str) -> dict[str, Any]:
    return {
        "type": "array",
        "maxItems": MAX_ENTRIES,
        "items": items,
        "minItems": least,
        "description": description,
    }


def _duration(description: str) -> dict[str, Any]:
    return {"type": "string", "pattern": DURATION, "description": description}


def _column() -> dict[str, Any]:
    types = "; ".join(f"{row.name}: {row.help}" for row in TYPES.values())
    return _object(
        {
            "name": _name("the column's name, and the key in a row"),
            "type": {"enum": list(TYPES), "description": types},
            "prettyname": _line("the title that the page shows"),
            "unit": _line("the unit that the page shows", limit=20),
            "help": _line("one sentence for those who do not know it", limit=500),
            "default": {"description": "what a row holds that leaves the column out"},
            "index": {"type": "boolean", "description": "make filters on it quick, for more room"},
        },
        required=("name", "type"),
    )


def _chart() -> dict[str, Any]:
    kinds = "; ".join(f"{kind.name}: {kind.help}" for kind in KINDS.values())
    return _object(
        {
            "kind": {"enum": list(KINDS), "description": kinds},
            "title": _line("what stands over the chart"),
            "value": _reference("the column that is summed; left out, or `rows`: rows are counted"),
            "stack": _reference("the column of stacks"),
            "by": _reference("the column that splits it"),
            "aggregate": {
                "enum": list(aggregates.NAMES),
                "description": "how values become one; left out: what fits the value's type",
            },
        },
        required=("kind",),
    )


def _rollup() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "bucket: how long it is kept, as {1h: 90d, 1d: 2y}",
        "maxProperties": 6,
        "propertyNames": {"pattern": DURATION},
        "additionalProperties": _duration("how long this bucket is kept"),
    }


def _probe() -> dict[str, Any]:
    return {
        "description": "what `kscope agent` runs to collect rows; left out: others send them",
        **_object(
            {
                "engine": {
                    "enum": [*ENGINES],
                    "description": f"what runs the program: {' or '.join(ENGINES)}",
                },
                "program": _line(
                    "for bcc: a file in the probes/ folder next to the category's folder"
                ),
                "script": _line("for bpftrace: the script", limit=_MAX_SCRIPT),
                "options": {
                    "type": "object",
                    "maxProperties": MAX_ENTRIES,
                    "propertyNames": {"pattern": FLAG},
                    "additionalProperties": _option(),
                    "description": "flags of `kscope agent`, and constants in the program",
                },
                "also": _also(),
                "attach": _array(_attach(), 1, "where the program's functions run"),
                "needs": _array(
                    {"type": "string", "pattern": NEED}, 1, "what else the kernel must offer"
                ),
                "provides": _array(
                    {"enum": [*CONTRACTS]},
                    1,
                    "contracts of kscope.h that the program of bcc fulfils, which the agent checks",
                ),
                "detect": {
                    "type": "object",
                    "maxProperties": MAX_ENTRIES,
                    "propertyNames": {"pattern": CONSTANT},
                    "additionalProperties": {"type": "string", "pattern": NEED},
                    "description": "constants that the program finds 1 where the kernel offers "
                    "this, else 0: btf, tracepoint:GROUP:NAME or tracepoint:GROUP:NAME:FIELD",
                },
                "children": {
                    "type": "boolean",
                    "description": "--pid takes the process's descendants too: for a probe of "
                    "what new processes do",
                },
                "collect": _collect(),
            },
            required=("engine", "collect"),
        ),
        "oneOf": [{"required": [source]} for source in SOURCES],
    }


def _option() -> dict[str, Any]:
    flags = [name for name, row in TYPES.items() if row.option]
    return _object(
        {
            "type": {"enum": flags, "description": "a column type: what the flag takes"},
            "default": {
                "type": ["integer", "number", "string", "boolean"],
                "maxLength": 1024,
                "description": "what holds without the flag",
            },
            "define": {
                "type": "string",
                "pattern": CONSTANT,
                "description": "the constant that the program finds it in",
            },
            "choices": {
                "type": "object",
                "maxProperties": MAX_ENTRIES,
                "propertyNames": {"maxLength": 100},
                "additionalProperties": dict(_INT64),
                "minProperties": 1,
                "description": "the words that the flag takes, and the number each is",
            },
            "least": {**_INT64, "description": "the smallest number that it takes"},
            "most": {**_INT64, "description": "the largest number that it takes"},
            "help": _line("one sentence for --help", limit=500),
        },
        required=("type", "default", "define"),
    )


def _also() -> dict[str, Any]:
    value = {"type": ["string", "integer", "number", "boolean"]}
    return {
        "type": "object",
        "propertyNames": {"pattern": "^([A-Za-z]|[a-z][a-z0-9-]{1,30})$"},
        "additionalProperties": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": {
                        "anyOf": [
                            value,
                            {"type": "object", "minProperties": 1, "additionalProperties": value},
                        ]
                    },
                },
            ]
        },
        "description": "further flags, as another tool has them: a letter or a name, and the "
        "option that it stands for; `{option: value}` for one value of it, "
        "`{option: {1: value}}` for a flag that takes a key of the list",
    }


def _attach() -> dict[str, Any]:
    return _object(
        {
            "to": {
                "type": "string",
                "pattern": PLACE,
                "description": "kprobe:FUNCTION, tracepoint:GROUP:NAME or perf:cpu-clock@RATE, "
                "the rate a number or an option's name",
            },
            "run": {
                "type": "string",
                "pattern": FUNCTION,
                "description": "the program's function",
            },
            "define": {
                "type": "string",
                "pattern": CONSTANT,
                "description": "makes it optional: 1 in the program where the kernel has it, or 0",
            },
        },
        required=("to", "run"),
    )


def source_schema() -> dict[str, Any]:
    """Return the schema of one source: where a column's value comes from."""
    field = {"type": "string", "pattern": FIELD}
    return {
        "anyOf": [
            field,
            {"type": "array", "items": field, "minItems": 1, "maxItems": 4},
            _object(
                {
                    "from": {**field, "description": "the field that holds the number"},
                    "names": {
                        "type": "object",
                        "maxProperties": _MAX_NAMES,
                        "propertyNames": {"pattern": NUMBER},
                        "additionalProperties": {"type": "string", "maxLength": 256},
                        "description": "number: word; a number without one stays",
                    },
                    "as": {"enum": list(DECODES), "description": "what the number stands for"},
                    "enum": {
                        "type": "string",
                        "pattern": ENUM,
                        "description": "an enum of the kernel, which has the words, such as "
                        "skb_drop_reason",
                    },
                },
                required=("from",),
            ),
        ],
        "description": "a field of the map's key or value, or of the event; `names`, `as` or "
        "`enum` turn a number into a word; a list is one stack, the innermost first",
    }


def _collect() -> dict[str, Any]:
    names = {kind: _line(f"the program's {kind}") for kind in COLLECT_KINDS}
    return {
        "description": "how what the program saw becomes rows",
        **_object(
            {
                **names,
                "columns": {
                    "type": "object",
                    "maxProperties": MAX_ENTRIES,
                    "propertyNames": {"maxLength": 40},
                    "additionalProperties": source_schema(),
                    "description": "column: where its value comes from",
                },
            },
            required=("columns",),
        ),
        "oneOf": [{"required": [kind]} for kind in COLLECT_KINDS],
    }
