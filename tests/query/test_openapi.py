"""The API as it is described: every example is answered as its schema says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema

from kscope.query.questions import QUESTIONS
from tests.query.world import waits

if TYPE_CHECKING:
    from tests.query.world import World


def described(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.get("/api/v1/openapi.json").json()
    return found


def test_every_example_is_answered_as_described(world: World) -> None:
    """Each operation's sample request gives 200 and a body that its schema accepts."""
    world.insert("offcputime", waits())
    document = described(world)
    asked = set()
    for path, operations in document["paths"].items():
        operation = operations.get("get", {})
        for sample in operation.get("x-codeSamples", ()):
            response = world.get(sample["source"].split("'")[1])
            assert response.status_code == 200, (path, response.text)
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            validate(response.json(), schema, document)
            asked.add(path.split("/")[3])
    assert asked == set(QUESTIONS)


def test_refusals_are_as_described(world: World) -> None:
    """An unknown parameter, an unknown table."""
    document = described(world)
    problem = {"$ref": "#/components/schemas/Problem"}
    for path, status in (("rows/offcputime?x=1", 400), ("rows/nosuch", 404)):
        response = world.get(f"/api/v1/{path}")
        assert response.status_code == status
        validate(response.json(), problem, document)


def validate(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    jsonschema.validate(value, whole | {"components": document["components"]})
