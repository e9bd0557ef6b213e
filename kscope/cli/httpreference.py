"""The page on HTTP, from the tables that the routes and the checks are made from."""

from collections.abc import Iterator
from typing import Any

from kscope.declare.model import Catalog, Category
from kscope.declare.types import TYPES
from kscope.generate.jsonschema import body_schema
from kscope.generate.reference import table
from kscope.query.answers.question import BASE
from kscope.query.export import FORMATS
from kscope.query.parse import api_2016
from kscope.query.parse.parameters import BASE as BASE_PREFIX
from kscope.query.parse.parameters import FROM, TO, Parameter
from kscope.query.questions import QUESTIONS
from kscope.query.sql.operators import OPERATORS, allowed
from kscope.server.ingest.routes import STATUSES
from kscope.server.openapi.document import document, example


def http_reference(shown: Category) -> str:
    """Markdown; `shown` is the category that the examples ask about."""
    parts = (_rows_in(shown), _questions(shown), _filters(), _formats(), _seed(), _errors(shown))
    return "\n".join(line for part in parts for line in (*part, ""))


def _rows_in(shown: Category) -> Iterator[str]:
    envelope = body_schema([shown])["properties"]
    yield from (
        "# HTTP",
        "",
        "Rows come in on one listener, `127.0.0.1:8081` if not configured, and questions are",
        "answered on the other, `127.0.0.1:8080`. With tokens declared, each request has",
        "`Authorization: Bearer TOKEN`. Both answer `GET /healthz`, `/readyz` and `/metrics`.",
        "",
        "## Rows in",
        "",
        "    POST /api/v1/ingest",
        "    POST /",
        "",
        "The body is JSON, plain or with `Content-Encoding: gzip` or `zstd`. It is stored whole or",
        "not at all, and answered for once it is on the disk. A body sent again with the same",
        "`Idempotency-Key` counts once. Stacks are root first at `/api/v1/ingest`, and",
        "leaf first at `/`, where the agent of 2016 sends them.",
        "",
    )
    names = {shown.table: "TABLE"}
    yield from table(
        ("key", "holds"),
        ((f"`{names.get(key, key)}`", _holds(key, rule, shown)) for key, rule in envelope.items()),
    )
    yield from (
        "",
        "`schema/generated/TABLE.schema.json` is each table's JSON Schema.",
        "",
        *table(("status", "means"), ((str(s), text) for s, text in STATUSES.items())),
    )


def _holds(key: str, rule: dict[str, Any], shown: Category) -> str:
    if key == shown.table:
        return "rows of that category, as many tables as there are; each row has its columns"
    return str(rule["description"])


def _questions(shown: Category) -> Iterator[str]:
    yield from ("## Questions", "", "All of them take a range of time, and filters:", "")
    yield from table(_PARAMETER_HEAD, map(_parameter, (FROM, TO)))
    for question in QUESTIONS.values():
        yield from ("", f"### `GET {BASE}{question.path}`", "", question.help, "")
        yield f"    curl '{example(question, shown)}'"
        if question.parameters:
            yield from ("", *table(_PARAMETER_HEAD, map(_parameter, question.parameters)))
        if question.compares:
            yield from ("", _base())
    paths = document(Catalog((shown,)))["paths"]
    plain = {path: about["get"] for path, about in paths.items() if _is_plain(about, shown)}
    yield from ("", "### Other addresses", "")
    yield from table(("address", "gives"), ((f"`{p}`", a["summary"]) for p, a in plain.items()))


def _is_plain(about: dict[str, Any], shown: Category) -> bool:
    return "get" in about and shown.table not in about["get"].get("tags", ())


def _base() -> str:
    return (
        f"The baseline has the same parameters with the prefix `{BASE_PREFIX}`:"
        f" `{BASE_PREFIX}from`, `{BASE_PREFIX}hostname=web-1`. `{BASE_PREFIX}any=hostname` drops"
        " the side's filters on that column."
    )


_PARAMETER_HEAD = ("parameter", "description", "allowed", "default")


def _parameter(parameter: Parameter) -> tuple[str, str, str, str]:
    choices = " ".join(f"`{choice}`" for choice in parameter.choices)
    bounds = f"{parameter.least} to {parameter.most}" if parameter.least is not None else choices
    default = f"`{parameter.default}`" if parameter.default else ""
    return f"`{parameter.name}`", parameter.help, bounds, default


def _filters() -> Iterator[str]:
    yield from (
        "## Filters",
        "",
        "`column=value` and `column__operator=value`; all of them must hold.",
        "",
        *table(
            ("operator", "its opposite", "holds where the column"),
            (
                (f"`{o.name}`", f"`{o.opposite[0]}`" if o.opposite else "", o.help)
                for o in OPERATORS.values()
            ),
        ),
        "",
        *table(
            ("column type", "operators"),
            (
                (f"`{kind.name}`", " ".join(f"`{name}`" for name in allowed(kind.storage)))
                for kind in TYPES.values()
            ),
        ),
    )


def _formats() -> Iterator[str]:
    yield from (
        "## Formats",
        "",
        *table(
            ("`format`", "media type", "holds"),
            ((f"`{each.name}`", each.media_type, each.help) for each in FORMATS.values()),
        ),
    )


def _seed() -> Iterator[str]:
    operators = " ".join(f"`{symbol}`" for symbol in api_2016.OPERATORS)
    formats = " or ".join(f"`{name}`" for name in api_2016.FORMATS)
    yield from (
        "## The API of 2016",
        "",
        "    GET /api/getcategories",
        "    POST /api",
        "",
        "The first gives each table's columns. The second takes a question by table, with",
        "`elements`, `constraints`, `limit` and `format`:",
        "",
        '    {"offcputime": {"elements": ["process", "stack"], "constraints": [',
        '      {"oper": "and", "conditions": [{"elapsed": 5000, "expr": ">"}]}]}}',
        "",
        f"`expr` is one of {operators}; `oper` is `and` or `or`; `format` is {formats}.",
        "Stacks are leaf first in lists, as in 2016; a flame graph is root first.",
    )


def _errors(shown: Category) -> Iterator[str]:
    operation = document(Catalog((shown,)))
    responses = operation["components"]["responses"]
    path = next(iter(operation["paths"].values()))
    found = {
        status: responses[each["$ref"].rsplit("/", 1)[1]]["description"]
        for status, each in path["get"]["responses"].items()
        if "$ref" in each
    }
    yield from (
        "## Errors",
        "",
        "Each is a problem document (RFC 9457, `application/problem+json`): `detail` says what is",
        "wrong, `errors` lists every place with a `parameter` or a JSON `pointer`. To a question:",
        "",
        *table(("status", "means"), found.items()),
    )
