"""The OpenAPI document of the read listener, generated from the tables of its routes."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from kscope import __version__
from kscope.declare.model import Catalog, Category, Column
from kscope.declare.types.base import Role, Storage
from kscope.query.across.question import PRESETS, QuestionOfAll
from kscope.query.answers.question import BASE, Question
from kscope.query.export import FORMATS, TABLES
from kscope.query.parse.columns import groupable
from kscope.query.parse.parameters import (
    ANY,
    BY,
    COLUMN,
    FROM,
    PRESET,
    REST,
    SERIES_BY,
    TO,
    Parameter,
)
from kscope.query.parse.parameters import BASE as BASE_PREFIX
from kscope.query.questions import OF_ALL, QUESTIONS
from kscope.query.sql import operators
from kscope.server.openapi import other_routes
from kscope.server.openapi.components import (
    ANSWERS,
    QUESTION,
    OldColumn,
    components,
    refer,
    refusals,
    responses,
)

_TEXT: dict[str, Any] = {"type": "string"}
_MOMENT = _TEXT | {
    "pattern": r"^(now([+-]\d{1,4}[smhdw])?|20\d\d-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8]))$"
}
# A filter's value by the storage of its column; others are texts.
_OPERANDS = {
    Storage.BOOLEAN: _TEXT | {"enum": ["true", "false"]},
    Storage.TIME: _MOMENT,
    Storage.INTEGER: {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    Storage.REAL: {"type": "number"},
}


def document(catalog: Catalog, base_path: str = "") -> dict[str, Any]:
    """Return OpenAPI 3.1. Each category has its own paths, since its columns are parameters.

    The paths are below `base_path`, if there is one.
    """
    paths = {
        f"{BASE}{_path(question, category)}": {"get": _operation(question, category)}
        for category in catalog
        for question in QUESTIONS.values()
        if _fits(question, category)
    } | {
        f"{BASE}{question.path}": {"get": _operation_of_all(question)}
        for question in OF_ALL.values()
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kernelscope",
            "version": __version__,
            "description": "Events that BPF scripts saw on many hosts. Times are microseconds "
            "since the epoch, UTC. Columns that are not listed as parameters are filters: "
            "`column=value` and `column__operator=value`; all of them must hold.",
        },
        **({"servers": [{"url": base_path}]} if base_path else {}),
        "paths": paths | other_routes.paths(catalog),
        "components": {
            "schemas": _schemas(catalog),
            "responses": responses(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _fits(question: Question, category: Category) -> bool:
    """Whether the category has a column that the question needs."""
    return not question.needs or bool(category.with_role(*question.needs))


def _path(question: Question, category: Category) -> str:
    return question.path.replace("{table}", category.table)


def _operation(question: Question, category: Category) -> dict[str, Any]:
    known = [FROM, TO, PRESET, *question.parameters]
    parameters = [
        _parameter(each, category, in_path=each.name in question.in_path) for each in known
    ]
    parameters.append(_filters(category, "filters", ""))
    if question.compares:
        shared = _names([column.name for column in category.all_columns])
        parameters += [
            _based(FROM),
            _based(TO),
            _in_query(f"{BASE_PREFIX}{ANY.name}", ANY.help, shared),
            _in_query(f"{BASE_PREFIX}{REST.name}", REST.help, {"enum": [*REST.choices]}),
            _filters(category, "base_filters", BASE_PREFIX),
        ]
    return {
        "operationId": f"{question.name}_{category.table}",
        "summary": question.help,
        "tags": [category.table],
        "parameters": parameters,
        "responses": _answers(question),
        "x-codeSamples": [{"lang": "shell", "source": f"curl '{example(question, category)}'"}],
    }


def _operation_of_all(question: QuestionOfAll) -> dict[str, Any]:
    parameters = [
        _in_query(each.name, each.help, _schema(each, None))
        for each in (FROM, TO, PRESETS, *question.parameters)
    ]
    content = {
        "application/json": {"schema": refer(question.answer)},
        TABLES["ndjson"].media_type: {"schema": _TEXT},
    }
    return {
        "operationId": question.name,
        "summary": question.help,
        "parameters": [*parameters, _in_query("filters", _EACH, refer(_ALL_FILTERS)) | _EXPLODED],
        "responses": {
            "200": {"description": "the answer; as NDJSON, better ones as they are found"}
            | {"content": content},
            **refusals(QUESTION),
        },
        "x-codeSamples": [{"lang": "shell", "source": f"curl '{example_of_all(question)}'"}],
    }


def example_of_all(question: QuestionOfAll) -> str:
    """Return the address of a request that a local server answers."""
    return f"http://127.0.0.1:8080{BASE}{question.path}?from=now-1h&hostname__startswith=web"


def example(question: Question, category: Category) -> str:
    """Return the address of a request that a local server answers."""
    asked = {"from": "now-1d"}
    dimension = next(each for each in category.with_role(Role.DIMENSION))
    place = _path(question, category)
    if question.in_path:
        place = place.replace("{column}", dimension.name)
    else:
        asked[f"{dimension.name}__startswith"] = "web"
    return f"http://127.0.0.1:8080{BASE}{place}?{urlencode(asked)}"


def _parameter(parameter: Parameter, category: Category, *, in_path: bool) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "path" if in_path else "query",
        "required": in_path,
        "description": parameter.help,
        "schema": _schema(parameter, category),
    }


def _in_query(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _based(parameter: Parameter) -> dict[str, Any]:
    default = "the side's for a base with separate filters, else directly before it"
    text = f"of the base: {parameter.help}; default: {default}"
    return _in_query(f"{BASE_PREFIX}{parameter.name}", text, _MOMENT)


def _names(columns: Iterable[str], *, many: bool = True) -> dict[str, Any]:
    """Return the schema of one name, or of several with commas; an empty text is none."""
    name = f"({'|'.join(columns)})"
    return {"type": "string", "pattern": f"^({name}(,{name})*)?$" if many else f"^{name}?$"}


def _schema(parameter: Parameter, category: Category | None) -> dict[str, Any]:
    if parameter.least is not None:
        bounds = {"minimum": parameter.least, "maximum": parameter.most}
        return {"type": "integer", **bounds, "default": int(parameter.default)}
    return _text(parameter, category) | (
        {"default": parameter.default} if parameter.default else {}
    )


def _text(parameter: Parameter, category: Category | None) -> dict[str, Any]:
    if parameter.choices:
        return {"type": "string", "enum": list(parameter.choices)}
    if parameter in (FROM, TO):
        hour = "02" if parameter == FROM else "03"
        return {"type": "string", "examples": [parameter.default, f"2026-11-23T{hour}:00:00Z"]}
    if category is None:
        return _TEXT
    if parameter.many:
        names = parameter.names(category) if parameter.names else []
        return {"type": "array", "items": {"type": "string", "enum": [*names, ""]}}
    if parameter.names:
        # An empty text chooses as none does, but in a path: forms send what was left empty.
        empty = [] if parameter == COLUMN else [""]
        return {"type": "string", "enum": [*parameter.names(category), *empty]}
    if parameter in (BY, SERIES_BY):
        return _names(groupable(category), many=parameter == BY)
    return _TEXT


_EACH = "filters on columns, each a separate parameter"
_EXPLODED = {"style": "form", "explode": True}
_ALL_FILTERS = "filters"


def _filters(category: Category, name: str, prefix: str) -> dict[str, Any]:
    return _in_query(name, _EACH, refer(_filters_name(category, prefix))) | _EXPLODED


def _filters_name(category: Category, prefix: str) -> str:
    return f"{'base_' if prefix else ''}filters_{category.table}"


def _filter_schema(category: Category, prefix: str) -> dict[str, Any]:
    parameters = {
        "from",
        "to",
        ANY.name,
        PRESET.name,
        *(p.name for q in QUESTIONS.values() for p in q.parameters),
    }
    properties = {
        f"{prefix}{column.name}{'' if suffix == 'eq' else '__' + suffix}": _operand(column, suffix)
        for column in category.all_columns
        for suffix in operators.taken(column)
        # A column with a parameter's name is filtered by its suffixes alone.
        if suffix != "eq" or column.name not in parameters
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _operand(column: Column, suffix: str) -> dict[str, Any]:
    kind = operators.OPERATORS[operators.NEGATIONS.get(suffix, suffix)]
    told = {
        "description": f"{column.prettyname} {'not: ' if suffix != kind.name else ''}{kind.help}"
    }
    if kind.refused:
        return told | {"type": "string", "pattern": f"^[^{kind.refused}]*$"}
    if kind.many or suffix.endswith("regex"):
        return told | _TEXT
    return told | _OPERANDS.get(column.type.storage, _TEXT)


def _answers(question: Question) -> dict[str, Any]:
    shapes = [refer(question.answer)]
    content: dict[str, Any] = {}
    formats = {
        name for each in question.parameters if each.name == "format" for name in each.choices
    }
    for each in FORMATS.values():
        if each.name not in formats:
            continue
        # A tree, a trace and speedscope's file are JSON as well, of another shape.
        if each.answer or each.listed:
            shape = refer(each.answer) if each.answer else {"type": "object"}
            shapes.append({"type": "array", "items": shape} if each.listed else shape)
        else:
            content[each.media_type.partition(";")[0]] = {"schema": _TEXT}
    content["application/json"] = {"schema": {"anyOf": shapes} if shapes[1:] else shapes[0]}
    return {"200": {"description": "the answer", "content": content}, **refusals(QUESTION)}


def _schemas(catalog: Catalog) -> dict[str, Any]:
    files = [each.answer for each in FORMATS.values() if each.answer]
    filters = {
        _filters_name(category, prefix): _filter_schema(category, prefix)
        for category in catalog
        for prefix in ("", BASE_PREFIX)
    }
    every = {
        name: operand
        for category in catalog
        for name, operand in filters[_filters_name(category, "")]["properties"].items()
    }
    whole = {"type": "object", "properties": every, "additionalProperties": False}
    return components([*ANSWERS, *files, OldColumn]) | filters | {_ALL_FILTERS: whole}
