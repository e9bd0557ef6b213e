"""The routes without a question: the categories, health, the API of 2016."""

from collections.abc import Iterable
from typing import Any

from kscope.declare.model import Catalog, Category
from kscope.query.answers.categories import Categories, Charts, Checked
from kscope.query.answers.question import BASE
from kscope.query.export.nested import Nested
from kscope.query.parse import api_2016
from kscope.server.openapi.components import OldColumn, ServerInfo, refer
from kscope.server.openapi.errors import POSTED, refusals

_TEXT = {"type": "string"}
_ROWS = {"type": "array", "items": {"type": "object"}}
_SEED_ANSWER = {"anyOf": [refer(Nested), {"type": "object", "additionalProperties": _ROWS}]}
_SEED_COLUMNS = {"type": "array", "items": refer(OldColumn)}
_GETCATEGORIES = {"type": "object", "additionalProperties": _SEED_COLUMNS}
_NEW = "table: waits\ncolumns:\n  - {name: process, type: string}\n"


def paths(catalog: Catalog) -> dict[str, Any]:
    return {
        f"{BASE}/categories": _get(
            "categories",
            "The declared categories, their problems, the operators of filters.",
            _json(refer(Categories)),
        ),
        f"{BASE}/charts/{{table}}": _charts(catalog),
        f"{BASE}/check": {"post": _check()},
        f"{BASE}/server": _get(
            "server",
            "The version, and the address that rows are sent to.",
            _json(refer(ServerInfo)),
        ),
        f"{BASE}/openapi.json": _get("openapi", "This document.", _json({"type": "object"})),
        "/api/getcategories": _get(
            "getcategories", "Columns by table, as in 2016.", _json(_GETCATEGORIES)
        ),
        "/api": {"post": _seed(catalog)},
        "/healthz": _get("healthz", "Whether the server runs; no token needed.", _text()),
        "/readyz": _get(
            "readyz", "Whether the database responds; no token needed.", _text(), "503"
        ),
        "/metrics": _get("metrics", "Counters of the server, for Prometheus.", _text()),
    }


def _get(name: str, text: str, ok: dict[str, Any], *statuses: str) -> dict[str, Any]:
    answers = {"200": ok, **refusals(statuses)}
    return {"get": {"operationId": name, "summary": text, "responses": answers}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "the answer", "content": {"application/json": {"schema": schema}}}


def _text() -> dict[str, Any]:
    return {"description": "the answer", "content": {"text/plain": {"schema": _TEXT}}}


def _charts(catalog: Catalog) -> dict[str, Any]:
    answer = _json(refer(Charts))
    described = _get("charts", "A category's charts as the page draws them.", answer, "404")
    tables = [category.table for category in catalog]
    table = {"name": "table", "in": "path", "required": True, "schema": {"enum": tables}}
    described["get"]["parameters"] = [table | {"example": tables[0]}]
    return described


def _check() -> dict[str, Any]:
    content = {"text/plain": {"schema": _TEXT, "example": _NEW}}
    return {
        "operationId": "check",
        "summary": "The problems of a category file, or its generated files. Stores nothing.",
        "requestBody": {"required": False, "content": content},
        "responses": {"200": _json(refer(Checked)), **refusals(("400", "413", "503"))},
    }


def _first(catalog: Catalog) -> Category:
    return next(iter(catalog))


def _seed(catalog: Catalog) -> dict[str, Any]:
    question = {
        "type": "object",
        "properties": {category.table: _seed_question(category) for category in catalog},
        "additionalProperties": False,
        "minProperties": 1,
    }
    example = {_first(catalog).table: {"elements": ["hostname", "time"], "limit": 10}}
    asked = {"schema": question, "example": example}
    return {
        "operationId": "questions_of_2016",
        "summary": "The question of 2016: a list of rows, or a nested flame graph.",
        "requestBody": {"required": True, "content": {"application/json": asked}},
        "responses": {"200": _json(_SEED_ANSWER), **refusals(POSTED)},
    }


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
