"""The routes without a question: the categories, health, the API of 2016."""

from collections.abc import Iterable
from typing import Any

from kscope.declare.model import Catalog, Category
from kscope.query.answers.categories import Categories, Charts, Checked
from kscope.query.answers.heard import HeardHosts
from kscope.query.answers.markers import PARAMETERS, Markers
from kscope.query.answers.question import BASE
from kscope.query.export.nested import Nested
from kscope.query.parse import api_2016
from kscope.query.parse.parameters import FROM, TO, Parameter
from kscope.server.openapi.components import (
    POSTED,
    QUESTION,
    OldColumn,
    ServerInfo,
    TokenList,
    refer,
    refusals,
)

_TEXT = {"type": "string"}
_PLAIN = {"text/plain": {"schema": _TEXT}}
_ROWS = {"type": "array", "items": {"type": "object"}}
_SEED_ANSWER = {"anyOf": [refer(Nested), {"type": "object", "additionalProperties": _ROWS}]}
_SEED_COLUMNS = {"type": "array", "items": refer(OldColumn)}
_GETCATEGORIES = {"type": "object", "additionalProperties": _SEED_COLUMNS}
_NEW = "table: waits\ncolumns:\n  - {name: process, type: string}\n"


def paths(catalog: Catalog) -> dict[str, Any]:
    return {
        f"{BASE}/categories": _get(
            "categories",
            "The declared categories, their problems, the operators of filters, the exports.",
            _json(refer(Categories)),
        ),
        f"{BASE}/charts/{{table}}": _charts(catalog),
        f"{BASE}/markers": _markers(),
        f"{BASE}/check": {"post": _check()},
        f"{BASE}/server": _get(
            "server",
            "The version, and the address that rows are sent to.",
            _json(refer(ServerInfo)),
        ),
        f"{BASE}/tokens": _get(
            "tokens",
            "The tokens that the server accepts, without their hashes; for the scope `admin`.",
            _json(refer(TokenList)),
        ),
        f"{BASE}/heard": _get(
            "heard",
            "The hosts that sent rows in the last day, and which of them are silent.",
            _json(refer(HeardHosts)),
        ),
        f"{BASE}/openapi.json": _get("openapi", "This document.", _json({"type": "object"})),
        "/api/getcategories": _get(
            "getcategories", "Columns by table, as in 2016.", _json(_GETCATEGORIES)
        ),
        "/api": {"post": _seed(catalog)},
        "/healthz": _get("healthz", "Whether the server runs; no token needed.", _PLAIN),
        "/readyz": _get(
            "readyz", "Whether the database responds; no token needed.", _PLAIN, ("503",)
        ),
        "/metrics": _get("metrics", "Metrics of the server, for Prometheus.", _PLAIN),
    }


def _operation(
    name: str, text: str, content: dict[str, Any], statuses: Iterable[str] = (), **more: Any
) -> dict[str, Any]:
    answers = {"200": {"description": "the answer", "content": content}, **refusals(statuses)}
    return {"operationId": name, "summary": text, "responses": answers, **more}


def _get(*described: Any, **more: Any) -> dict[str, Any]:
    return {"get": _operation(*described, **more)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _charts(catalog: Catalog) -> dict[str, Any]:
    text = "A category's charts as the page draws them."
    tables = [category.table for category in catalog]
    table = {"name": "table", "in": "path", "required": True, "schema": {"enum": tables}}
    parameters = [table | {"example": tables[0]}]
    return _get("charts", text, _json(refer(Charts)), ("404",), parameters=parameters)


def _markers() -> dict[str, Any]:
    text = "The markers of a range, of every host or of some: releases, restarts, changes."
    parameters = [_in_query(each) for each in (FROM, TO, *PARAMETERS)]
    return _get("markers", text, _json(refer(Markers)), QUESTION, parameters=parameters)


def _in_query(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = _TEXT
    if parameter.least is not None:
        schema = {"type": "integer", "minimum": parameter.least, "maximum": parameter.most}
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.help,
        "schema": schema,
        "example": parameter.default or "web-1",
    }


def _check() -> dict[str, Any]:
    text = "The problems of a category file, or its generated files. Stores nothing."
    content = {"text/plain": {"schema": _TEXT, "example": _NEW}}
    body = {"required": False, "content": content}
    statuses = ("400", "413", "503")
    return _operation("check", text, _json(refer(Checked)), statuses, requestBody=body)


def _seed(catalog: Catalog) -> dict[str, Any]:
    text = "The question of 2016: a list of rows, or a nested flame graph."
    questions = {category.table: _seed_question(category) for category in catalog.stored}
    question = {
        "type": "object",
        "properties": questions,
        "additionalProperties": False,
        "minProperties": 1,
    }
    example = {next(iter(questions)): {"elements": ["hostname", "time"], "limit": 10}}
    content = {"application/json": {"schema": question, "example": example}}
    body = {"required": True, "content": content}
    return _operation("questions_of_2016", text, _json(_SEED_ANSWER), POSTED, requestBody=body)


def _seed_question(category: Category) -> dict[str, Any]:
    names = [column.name for column in category.all_columns]
    return {
        "type": "object",
        "required": ["elements"],
        "additionalProperties": False,
        "properties": {
            "elements": {"type": "array", "minItems": 1, "items": {"enum": names}},
            # As a text too: the page of 2016 sends every value as one.
            "limit": {
                "anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
                    {"type": "string", "pattern": r"^\d{1,9}$"},
                    {"type": "null"},
                ]
            },
            "format": {"enum": list(api_2016.FORMATS)},
            "constraints": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["conditions"],
                    "properties": {
                        "oper": {"enum": ["and", "or"]},
                        "conditions": {"type": "array", "items": _seed_condition(names)},
                    },
                },
            },
        },
    }


def _seed_condition(names: Iterable[str]) -> dict[str, Any]:
    symbols = {"expr": {"enum": list(api_2016.OPERATORS)}}
    return {
        "type": "object",
        "required": ["expr"],
        "properties": symbols | {name: {} for name in names},
        "additionalProperties": False,
        "minProperties": 2,
        "maxProperties": 2,
    }
