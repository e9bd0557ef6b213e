"""The page on HTTP, from the tables that the routes and the checks are made from."""

from collections.abc import Iterable, Iterator
from string import Template
from typing import Any

from kscope.declare.columnar import HELP
from kscope.declare.model import Catalog, Category
from kscope.declare.types import TYPES
from kscope.generate.jsonschema import body_schema
from kscope.generate.reference import table
from kscope.query.across.question import PRESETS
from kscope.query.answers.question import BASE
from kscope.query.export import FORMATS
from kscope.query.parse import api_2016
from kscope.query.parse.parameters import BASE as BASE_PREFIX
from kscope.query.parse.parameters import FROM, TO, Parameter
from kscope.query.questions import OF_ALL, QUESTIONS
from kscope.query.sql.operators import OPERATORS, allowed
from kscope.server.ingest import pack_reading
from kscope.server.ingest.markers import MAX_BODY
from kscope.server.ingest.routes import STATUSES
from kscope.server.openapi.document import document, example, example_of_all

_PAGE = Template("""\
# HTTP

Rows come in on one listener, `127.0.0.1:8081` if not configured, and questions are
answered on the other, `127.0.0.1:8080`. With tokens declared, each request has
`Authorization: Bearer TOKEN`. Both answer `GET /healthz`, `/readyz` and `/metrics`.

## Rows in

    POST /api/v1/ingest
    POST /

The body is JSON, plain or with `Content-Encoding: gzip` or `zstd`. It is stored whole or
not at all, and answered for once it is on the disk. A body sent again with the same
`Idempotency-Key` counts once. Stacks are root first at `/api/v1/ingest`, and
leaf first at `/`, where the agent of 2016 sends them.

$envelope

`schema/generated/TABLE.schema.json` is each table's JSON Schema. `GET /api/v1/openapi.json` on
this listener describes all that it takes, as the same address does for questions on the other.

$statuses

### Rows as columns

At `/api/v1/ingest` a table may be an object of columns in place of an array of rows. Many
rows so have a fraction of the size, and take a part of the server's time:

$columns

A column is an array of the values that rows would have. All have one length; those with a
default may be left out. Texts and times may instead be places in the body's `strings`, and
histograms their slots:

$parts

Without the column `time` rows have the body's time. A body may have rows of one table and
columns of another.

### MessagePack

With `Content-Type: application/msgpack` a body at `/api/v1/ingest` is MessagePack of the
same structure. Numbers of a column, and its places, slots, counts and ends, may also be an
extension of type 1, 2, 4 or 8: integers of that many bytes, little-endian. Those of 8 bytes
are signed, others are not. Decompressed it has at most $packed KiB, and an array that is no
extension at most $elements elements.

### Markers

    POST /api/v1/markers

stores one marker, and is answered as rows are:

    {"text": "release 1.4.2", "kind": "release", "hostname": "web-1", "time": "now-5m"}

`message` is another name for `text`. Without `hostname` the marker is of all hosts, without
`time` of now, without `kind` a note. The object has at most $marker KiB.

## Questions

All of them take a range of time, and filters:

$questions

### Other addresses

$addresses

Where short links are kept, `POST /api/v1/links` with an address of the page, such as
`/?table=offcputime`, answers `{"path": "/s/ID"}`, and `DELETE /api/v1/links/ID` removes a
link, for the scope `admin`.

## Filters

`column=value` and `column__operator=value`; all of them must hold.

$operators

$types

## Formats

$formats

## The API of 2016

    GET /api/getcategories
    POST /api

The first gives each table's columns. The second takes a question by table, with
`elements`, `constraints`, `limit` and `format`:

    {"offcputime": {"elements": ["process", "stack"], "constraints": [
      {"oper": "and", "conditions": [{"elapsed": 5000, "expr": ">"}]}]}}

`expr` is one of $operators_2016; `oper` is `and` or `or`; `format` is $formats_2016.
Stacks are leaf first in lists, as in 2016; a flame graph is root first.

## Errors

Each is a problem document (RFC 9457, `application/problem+json`): `detail` says what is
wrong, `errors` lists every place with a `parameter` or a JSON `pointer`. To a question:

$errors
""")
# A row of 5 ms in two waits, one of 7 ms, and one whose lengths are not known.
_COLUMNS = """\
    {"hostname": "web-1", "time": "2026-11-23T02:46:15Z",
     "strings": ["mysqld", "nginx"],
     "stacks": ["main;do_command;read", "main;epoll_wait"],
     "offcputime": {
       "process": {"strings": [0, 1, 0]},
       "pid": [1234, 80, 1234],
       "stack": [0, 1, 0],
       "elapsed": [5123, 7002, 900],
       "count": [2, 1, 1],
       "lengths": {"slots": [10, 12, 12], "counts": [1, 1, 1], "ends": [2, 3, 3]}}}"""
_PARAMETER_HEAD = ("parameter", "description", "allowed", "default")


def http_reference(shown: Category) -> str:
    """Markdown; `shown` is the category that the examples ask about."""
    api = document(Catalog((shown,)))
    tables = {
        "envelope": table(("key", "holds"), _envelope(shown)),
        "parts": table(("member", "holds"), ((f"`{name}`", text) for name, text in HELP.items())),
        "statuses": table(("status", "means"), ((str(s), text) for s, text in STATUSES.items())),
        "questions": _questions(shown),
        "addresses": table(("address", "gives"), _other_addresses(api, shown)),
        "operators": table(
            ("operator", "its opposite", "holds where the column"),
            (
                (f"`{o.name}`", f"`{o.opposite[0]}`" if o.opposite else "", o.help)
                for o in OPERATORS.values()
            ),
        ),
        "types": table(
            ("column type", "operators"),
            ((f"`{kind.name}`", _quoted(allowed(kind.storage))) for kind in TYPES.values()),
        ),
        "formats": table(
            ("`format`", "media type", "holds"),
            ((f"`{each.name}`", each.media_type, each.help) for each in FORMATS.values()),
        ),
        "errors": table(("status", "means"), _errors(api)),
    }
    return _PAGE.substitute(
        {name: "\n".join(lines) for name, lines in tables.items()},
        columns=_COLUMNS,
        marker=str(MAX_BODY // 1024),
        packed=str(pack_reading.MAX_BODY // 1024),
        elements=f"{pack_reading.MAX_ELEMENTS:,}",
        operators_2016=_quoted(api_2016.OPERATORS),
        formats_2016=_quoted(api_2016.FORMATS, " or "),
    )


def _quoted(names: Iterable[object], between: str = " ") -> str:
    return between.join(f"`{name}`" for name in names)


def _envelope(shown: Category) -> Iterator[tuple[str, str]]:
    """Yield each key of a body, and what it holds."""
    for key, rule in body_schema([shown])["properties"].items():
        if key == shown.table:
            yield (
                "`TABLE`",
                "rows of that category, as many tables as there are, or an object of columns",
            )
        else:
            yield f"`{key}`", str(rule["description"])


def _questions(shown: Category) -> Iterator[str]:
    yield from table(_PARAMETER_HEAD, map(_parameter, (FROM, TO)))
    for question in QUESTIONS.values():
        yield from ("", f"### `GET {BASE}{question.path}`", "", question.help, "")
        yield f"    curl '{example(question, shown)}'"
        if question.parameters:
            yield from ("", *table(_PARAMETER_HEAD, map(_parameter, question.parameters)))
        if question.compares:
            yield ""
            yield (
                f"The baseline has the same parameters with the prefix `{BASE_PREFIX}`:"
                f" `{BASE_PREFIX}from`, `{BASE_PREFIX}hostname=web-1`. `{BASE_PREFIX}any=hostname`"
                " drops the side's filters on that column."
            )

    for each in OF_ALL.values():
        yield from ("", f"### `GET {BASE}{each.path}`", "", each.help, "")
        yield f"    curl '{example_of_all(each)}'"
        yield from ("", *table(_PARAMETER_HEAD, map(_parameter, (PRESETS, *each.parameters))), "")
        yield (
            "Of all data types: a filter holds for those that have its column. With"
            " `Accept: application/x-ndjson` answers come as they are found, each on a line,"
            " the last the best."
        )


def _parameter(parameter: Parameter) -> tuple[str, str, str, str]:
    choices = _quoted(parameter.choices)
    bounds = f"{parameter.least} to {parameter.most}" if parameter.least is not None else choices
    default = f"`{parameter.default}`" if parameter.default else ""
    return f"`{parameter.name}`", parameter.help, bounds, default


def _other_addresses(api: dict[str, Any], shown: Category) -> Iterator[tuple[str, str]]:
    for path, about in api["paths"].items():
        if "get" in about and shown.table not in about["get"].get("tags", ()):
            yield f"`{path}`", about["get"]["summary"]


def _errors(api: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the statuses of a question's errors, and what they mean."""
    question = next(iter(api["paths"].values()))
    for status, each in question["get"]["responses"].items():
        if "$ref" in each:
            name = each["$ref"].rsplit("/", 1)[1]
            yield status, api["components"]["responses"][name]["description"]
