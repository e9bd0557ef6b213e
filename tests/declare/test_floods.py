"""Every key of a category file, as its schema has them, filled with more than anyone needs."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

import pytest

from kscope.declare.files.catalog import read_catalog
from kscope.declare.files.category import read_category
from kscope.declare.files.shapes import MAX_ENTRIES, category_schema
from tests.children import bounded_run
from tests.floods import CUT_SHORT, FLOODS, places, put

if TYPE_CHECKING:
    from pathlib import Path


def sample(schema: dict[str, Any]) -> Any:
    """Return a value that has each key of the schema, right or not."""
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return sample(schema["anyOf"][-1])
    kind = schema.get("type", "string")
    if kind == "array":
        return [sample(schema["items"])]
    if kind == "object":
        free = schema.get("additionalProperties")
        found = {name: sample(inner) for name, inner in schema.get("properties", {}).items()}
        return found or {"x": sample(free)}
    return {"integer": 1, "boolean": True}.get(kind if isinstance(kind, str) else "", "x")


FLOOD = """
import json
from pathlib import Path
from kscope.declare.files.category import read_category
from tests.floods import CUT_SHORT, FLOODS, places, put

whole = json.loads(Path(sys.argv[1]).read_text())
start, seen = peak(), 0
for place in places(whole):
    for flood in (*FLOODS, *(CUT_SHORT if not place else ())):
        problems = read_category(put(whole, place, flood), "x.yaml").problems
        assert problems, place
        assert len(problems) <= 101, (place, len(problems))
        assert max(len(str(problem)) for problem in problems) < 1500, (place, problems)
        assert peak() < start + 100, (place, peak())
    seen += 1
print(seen)
"""


def test_every_key_is_flooded(tmp_path: Path) -> None:
    """At most 100 problems, each short, in at most 100 MB: for keys that are added later, too."""
    whole = sample(category_schema())
    assert {"columns", "charts", "probe"} <= set(whole)
    (tmp_path / "whole.json").write_text(json.dumps(whole))
    printed = bounded_run(FLOOD, tmp_path / "whole.json", folder=tmp_path)
    assert int(printed) == len(list(places(whole)))


def declaration(columns: int = 1, charts: int = 1, names: int = 1) -> str:
    value = {
        "table": "many",
        "columns": [
            {"name": "reason", "type": "label"},
            {"name": "took", "type": "elapsed"},
            *({"name": f"c{i}", "type": "int"} for i in range(columns - 2)),
        ],
        "charts": [{"kind": "timeseries", "value": "took"}] * charts,
        "probe": {
            "engine": "bpftrace",
            "script": "BEGIN { @m[1] = sum(1); }",
            "collect": {
                "map": "m",
                "columns": {
                    "reason": {"from": "key.0", "names": {str(i): "x" for i in range(names)}},
                    "took": "value",
                },
            },
        },
    }
    if columns > 2:
        del value["probe"]
    return json.dumps(value)


@pytest.mark.parametrize(
    ("key", "most"), [("columns", MAX_ENTRIES), ("charts", MAX_ENTRIES), ("names", 1000)]
)
def test_a_category_may_have_so_many(key: str, most: int) -> None:
    """The bound itself is accepted; beyond it, the message says how many there may be."""
    assert not read_category(declaration(**{key: most}), "x.yaml").problems
    [problem] = read_category(declaration(**{key: most + 1}), "x.yaml").problems
    assert f"has {most + 1} entries; at most {most} are allowed" in problem.message


def test_more_than_a_hundred_problems_are_said_to_be_more() -> None:
    text = "table: x\ncolumns:\n" + "  - {nam: x}\n" * 190
    problems = read_category(text, "x.yaml").problems
    assert len(problems) == 101
    assert "more than 100 problems" in problems[0].message
    assert all(problem.line > 2 for problem in problems[1:])


def test_a_hint_is_looked_for_only_if_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of unknown names that are like all known ones: at most 100 are compared, and each
    with a few.
    """
    compared = 0
    closest = difflib.get_close_matches

    def counted(word: str, names: list[str], **options: Any) -> list[str]:
        nonlocal compared
        compared += len(names)
        assert len(word) <= 100
        return closest(word, names, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    like = "abcdefghij" * 3
    value = json.loads(declaration())
    value["columns"] += [{"name": f"{like}{i:05}", "type": "int"} for i in range(190)]
    bound = value["probe"]["collect"]["columns"]
    bound |= {f"x{i:05}{like}": "key.0" for i in range(4000)}
    problems = read_category(json.dumps(value), "x.yaml").problems
    assert len(problems) == 101
    assert 0 < compared <= 101 * 10


def test_a_folder_of_floods_is_read(tmp_path: Path) -> None:
    """One file of each kind: every bad one is named, and the good one is there."""
    (tmp_path / "good.yaml").write_text(declaration())
    whole = sample(category_schema())
    for at, flood in enumerate((*FLOODS, *CUT_SHORT)):
        (tmp_path / f"bad{at}.yaml").write_text(put(whole, ("columns",), flood))
    reading = read_catalog([tmp_path])
    assert [category.table for category in reading.catalog] == ["many"]
    named = {problem.file for problem in reading.problems}
    assert named == {str(file) for file in tmp_path.glob("bad*.yaml")}
