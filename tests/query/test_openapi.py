"""The API as it is described: every example is answered as its schema says."""

from __future__ import annotations

import json
import re
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from starlette.routing import Route

from kscope.query.questions import OF_ALL, QUESTIONS
from kscope.server.read import routes as read
from kscope.server.read.static_files import routes as page_routes
from tests.query.test_rows import EVERYTHING
from tests.query.world import waits
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.query.world import World


def described(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.get("/api/v1/openapi.json").json()
    return found


def lately(world: World) -> None:
    """Rows of this minute in each table: what the examples ask for."""
    moment = time.time_ns() // 1000 - 30_000_000
    values = {
        "kind": "deploy",
        "message": "",
        "resource": "cpu",
        "share": 0.5,
        "stalled": 7,
        "scope": "some",
    }
    for category in world.catalog:
        source = waits()[0] | EVERYTHING | values
        names = {each.name for each in category.all_columns}
        row = {name: value for name, value in source.items() if name in names}
        if "started" in row:
            row["started"] = moment
        world.insert(category.table, [row | {"time": moment, "hostname": "web-001"}])


def test_every_example_is_answered_as_described(world: World) -> None:
    """Each operation's sample request gives 200, and something that its schema accepts."""
    lately(world)
    document = described(world)
    asked = set()
    for path, operations in document["paths"].items():
        operation = operations.get("get", {})
        for sample in operation.get("x-codeSamples", ()):
            response = world.get(sample["source"].split("'")[1])
            assert response.status_code == 200, (path, response.text)
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            validate(response.json(), schema, document)
            question = path.split("/")[3]
            asked.add(question)
            if question != "quality":  # of rows that agents send
                found = response.json()[HOLDS.get(question, question)]
                assert found, (path, response.text)
    assert asked == {*QUESTIONS, *OF_ALL}


HOLDS = {
    "flamegraph": "total",
    "compare": "total",
    "timeseries": "series",
    "heatmap": "counts",
    "histogram": "total",
    "top": "entries",
    "search": "frames",
    "changes": "tables",
    "overview": "times",
}


def test_the_columns_that_are_listed_are_those_that_are_taken(world: World) -> None:
    """Each name that an operation lists for its value and its stack; no other column's."""
    for path, operations in described(world)["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", ()):
            if parameter["name"] not in ("value", "stack") or "enum" not in parameter["schema"]:
                continue
            category = world.catalog.get(path.split("/")[4])
            assert category
            listed = set(parameter["schema"]["enum"])
            for name in {*listed, "rows", *(column.name for column in category.all_columns)}:
                status = world.get(path, {parameter["name"]: name}).status_code
                assert status == (200 if name in listed else 400), (path, parameter["name"], name)


def test_the_other_routes_answer_as_described(world: World) -> None:
    """Request bodies have an example, and texts are strings."""
    lately(world)
    document = described(world)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "x-codeSamples" in operation or path == "/readyz":
                continue
            address, body = path, {}
            for parameter in operation.get("parameters", ()):
                name = f"{{{parameter['name']}}}"
                address = address.replace(name, str(parameter["example"]))
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                example = content["example"]
                text = example if isinstance(example, str) else json.dumps(example)
                body = {"content": text, "headers": {"Content-Type": kind}}
            response = world.request(method, address, **body)
            assert response.status_code == 200, (path, response.text)
            ((kind, content),) = operation["responses"]["200"]["content"].items()
            assert response.headers["content-type"].startswith(kind)
            if kind == "application/json":
                validate(response.json(), content["schema"], document)


def test_what_the_categories_decide_is_made_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A megabyte of description for each request would be 30 ms of the loop each."""
    made = []
    for name in ("document", "categories"):
        make = getattr(read, name)

        def counted(*of: Any, make: Any = make, name: str = name) -> Any:
            made.append(name)
            return make(*of)

        monkeypatch.setattr(read, name, counted)
    world.app.state.described = read.CachedAnswers()
    for _ in range(3):
        texts = {world.get(f"/api/v1/{name}").text for name in ("openapi.json", "categories")}
        assert len(texts) == 2
    assert sorted(made) == ["categories", "document"]


def test_the_routes_are_all_described(world: World) -> None:
    """No address of the read listener is missing from the document, none is too much."""
    page = {route.path for route in page_routes}
    routes = {
        (method.lower(), route.path)
        for route in world.app.routes
        if isinstance(route, Route) and route.include_in_schema and route.path not in page
        for method in (route.methods or {"GET"}) - {"HEAD"}
    }
    tables = "|".join(category.table for category in world.catalog)
    found = {
        (method, re.sub(rf"/({tables})(?=/|$)", "/{table}", path))
        for path, operations in described(world)["paths"].items()
        for method in operations
    }
    assert found == routes


def test_refusals_are_as_described(world: World) -> None:
    """An unknown parameter, an unknown table."""
    document = described(world)
    problem = {"$ref": "#/components/schemas/ProblemDocument"}
    for path, status in (("rows/offcputime?x=1", 400), ("rows/nosuch", 404)):
        response = world.get(f"/api/v1/{path}")
        assert response.status_code == status
        validate(response.json(), problem, document)


def test_every_refusal_has_the_shape_of_a_problem(guarded: Serving) -> None:
    """A token that is missing or of another scope, a method that is none; and they are listed."""
    document = guarded.get("/api/v1/openapi.json").json()
    assert document["status"] == 401
    reading = {"Authorization": f"Bearer {TOKENS['read']}"}
    document = guarded.client.get(f"{guarded.read}/api/v1/openapi.json", headers=reading).json()
    path = "/api/v1/rows/offcputime"
    for method, token, status in (("GET", "", 401), ("GET", "ingest", 403), ("POST", "read", 405)):
        headers = {"Authorization": f"Bearer {TOKENS.get(token, 'none')}"}
        answer = guarded.client.request(method, guarded.read + path, headers=headers)
        assert answer.status_code == status
        assert str(status) in document["paths"][path]["get"]["responses"]
        validate(answer.json(), {"$ref": "#/components/schemas/ProblemDocument"}, document)


TOKENS = {"read": "kscope_read", "ingest": "kscope_ingest"}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Serving]:
    lines = [
        f"  - {{name: {scope}, scopes: [{scope}], sha256: {sha256(token.encode()).hexdigest()}}}"
        for scope, token in TOKENS.items()
    ]
    config = tmp_path / "kernelscope.yaml"
    config.write_text("\n".join(["database: {sqlite: k.db}", "tokens:", *lines]))
    with serving(tmp_path, "--config", config) as running:
        yield running


def validate(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    jsonschema.validate(value, whole | {"components": document["components"]})
