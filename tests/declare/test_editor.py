"""The schema that editors use refuses what the reader refuses, and nothing that it accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from kscope.declare.charts import KINDS
from kscope.declare.files.category import read_category
from kscope.declare.files.editor import editor_schema
from kscope.declare.types import TYPES
from tests.serving import ROOT

EDITOR = Draft202012Validator(editor_schema(), format_checker=FormatChecker(["ipv4", "ipv6"]))
UNITS = ("us", "ms", "bytes", "KiB", "packets", "%")
DEFAULTS = ("x", "", "10.0.0.1", 5, -1, 0.5, True, [], [1], 2**70, "2026-01-01T00:00:00Z")


def both(value: dict[str, Any]) -> tuple[bool, bool]:
    """Return the verdicts of the editor and of the reader."""
    reading = read_category(json.dumps(value), "x.yaml")
    return EDITOR.is_valid(value), reading.category is not None


def with_column(**column: Any) -> dict[str, Any]:
    return {"table": "x", "columns": [{"name": "c", **column}]}


@pytest.mark.parametrize("kind", TYPES)
def test_units_and_defaults_of_each_type(kind: str) -> None:
    for unit in UNITS:
        assert len(set(both(with_column(type=kind, unit=unit)))) == 1, (kind, unit)
    for default in DEFAULTS:
        assert len(set(both(with_column(type=kind, default=default)))) == 1, (kind, default)


@pytest.mark.parametrize("kind", KINDS)
def test_what_each_kind_of_chart_needs_and_takes(kind: str) -> None:
    columns = [{"name": each, "type": each} for each in ("stack", "elapsed", "string")]
    parts = {"value": "elapsed", "stack": "stack", "by": "string"}
    for chosen in range(8):
        chart = {"kind": kind} | {
            key: name for at, (key, name) in enumerate(parts.items()) if chosen >> at & 1
        }
        verdicts = both({"table": "x", "columns": columns, "charts": [chart]})
        assert len(set(verdicts)) == 1, (chart, verdicts)


@pytest.mark.parametrize("name", ["select", "rows", "hostname", "time", "kscope_x", "stacks", "a"])
def test_names_that_are_taken(name: str) -> None:
    assert len(set(both(with_column(type="int") | {"table": name}))) == 1
    assert len(set(both({"table": "x", "columns": [{"name": name, "type": "int"}]}))) == 1


def test_the_categories_that_come_with_it_are_right_in_an_editor() -> None:
    for file in sorted((ROOT / "categories").glob("*.yaml")):
        errors = list(EDITOR.iter_errors(yaml.safe_load(file.read_text())))
        assert not errors, (file, errors)


def test_the_file_that_editors_read_is_this_schema() -> None:
    written = json.loads(Path(ROOT / "schema/category.schema.json").read_text())
    del written["$comment"]
    assert written == editor_schema()
    Draft202012Validator.check_schema(written)
