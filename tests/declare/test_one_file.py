"""A new column type and a new chart kind are one file each: every part of the program has them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.copied import copied
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.serving import Serving

EXAMPLES = Path(__file__).parent / "one_file"
# `seen` takes null, which only the JSON Schema's way through rows takes.
LEASES = """\
table: leases
prettyname: Leases
columns:
  - {name: client, type: mac, prettyname: Client}
  - {name: waited, type: elapsed, prettyname: Waited}
  - {name: seen, type: timestamp, default: null}
charts:
  - {kind: timeseries, value: waited}
  - {kind: longest, value: waited}
"""
FIRST, SECOND = "02:42:ac:11:00:02", "02:42:ac:11:00:03"
WRONG = LEASES.replace("leases", "mistakes").replace(
    "{kind: longest, value: waited}", "{kind: longest, aggregate: avg}"
)


@pytest.fixture(scope="module")
def package(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the package, with its page, to a folder, and two files into it; edit nothing else."""
    del built_page
    folder = copied(tmp_path_factory.mktemp("copy"), page=True)
    shutil.copy(EXAMPLES / "mac.py", folder / "kscope/declare/types")
    shutil.copy(EXAMPLES / "longest.py", folder / "kscope/declare/charts")
    (folder / "mine").mkdir()
    (folder / "mine/leases.yaml").write_text(LEASES)
    return folder


def python(package: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=package,
        env=os.environ | {"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def written(package: Path) -> Path:
    """Return the folder of what `kscope generate` writes."""
    run = python(package, "-m", "kscope", "generate", "--categories", "mine", "--output", "out")
    assert run.returncode == 0, run.stderr
    return package / "out"


@pytest.fixture(scope="module")
def server(package: Path) -> Iterator[Serving]:
    """A server of the copied package, with rows that take both ways through a request."""
    time = datetime.now(UTC) - timedelta(minutes=5)
    rows: list[dict[str, Any]] = [
        {"client": "02-42-AC-11-00-02", "waited": 30},
        {"client": FIRST, "waited": 70, "seen": None},
        {"client": SECOND, "waited": 50.0},
        {"client": SECOND, "waited": 60},
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(package))
        patch.setattr("tests.serving.PROGRAM", (sys.executable, "-m", "kscope"))
        patch.chdir(package)
        with serving(package, "--categories", "mine") as running:
            for row in rows:
                running.post({"hostname": "h", "time": time.isoformat(), "leases": [row]})
            yield running


def test_generated_files_have_the_type_and_the_kind(written: Path) -> None:
    """The DDL of both engines, JSON Schema, Grafana, the editors' schema and the reference."""
    for engine in ("sqlite", "mysql"):
        assert "  client INTEGER" in (written / f"sql/generated/{engine}.sql").read_text()
    schema = json.loads((written / "schema/generated/leases.schema.json").read_text())
    client = schema["$defs"]["leases"]["properties"]["client"]
    assert client["type"] == "string"
    assert client["maxLength"] == 17
    assert client["pattern"].startswith("^([0-9A-Fa-f]{2}")
    for source in ("mysql", "clickhouse", "api"):
        panels = json.loads((written / f"grafana/generated/{source}/leases.json").read_text())
        assert panels["panels"][1]["title"] == "Longest Waited, by client"
    panels = json.loads((written / "grafana/generated/mysql/leases.json").read_text())
    sql = panels["panels"][1]["targets"][0]["rawSql"]
    assert "max(CAST(kscope_rows.waited AS DOUBLE)) AS kscope_amount" in sql
    editors = (written / "schema/category.schema.json").read_text()
    assert '"mac"' in editors
    assert '"longest"' in editors
    reference = (written / "docs/reference/categories.md").read_text()
    assert "| `mac` | dimension |" in reference
    assert "| `longest` | the groups with the largest single events |" in reference


def test_a_category_is_checked_by_them(package: Path) -> None:
    """A mistake in a chart of the kind, and in a default of the type, has its file and line."""
    (package / "wrong").mkdir()
    text = WRONG.replace("prettyname: Client", "default: '02:42'")
    (package / "wrong/mistakes.yaml").write_text(text)
    run = python(package, "-m", "kscope", "generate", "--categories", "wrong", "--check")
    assert run.returncode == 2
    lines = [line.removeprefix("wrong/mistakes.yaml:") for line in run.stderr.splitlines()]
    assert lines == [
        "4: columns[0].default: '02:42' is not of type mac, a MAC address",
        "9: charts[1]: a longest needs 'value', the column that it shows",
        "9: charts[1].aggregate: a longest does not take an aggregate; remove this key",
    ]


def test_rows_are_checked_stored_and_found(server: Serving) -> None:
    """In one spelling, however a row or a filter spells it and whichever way its request took."""
    answer = server.get("/api/v1/rows/leases").json()
    at = answer["columns"].index("client")
    assert sorted(row[at] for row in answer["rows"]) == [FIRST, FIRST, SECOND, SECOND]
    for spelled in (FIRST, "02-42-ac-11-00-02"):
        found = server.get("/api/v1/rows/leases", client=spelled).json()["rows"]
        assert [row[at] for row in found] == [FIRST] * 2
    assert len(server.get("/api/v1/rows/leases", client__ne=FIRST).json()["rows"]) == 2
    refused = server.client.get(f"{server.read}/api/v1/rows/leases", params={"client": "02:42"})
    assert refused.status_code == 400
    assert "is not a MAC address" in refused.text


@pytest.mark.parametrize("more", [{}, {"seen": None}], ids=["fast", "schema"])
def test_a_wrong_value_is_refused(server: Serving, more: dict[str, None]) -> None:
    """With its place, whichever way its request took."""
    body = {"hostname": "h", "leases": [{"client": "02:42", "waited": 1} | more]}
    answer = server.send(json.dumps(body).encode())
    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert fault["pointer"] == "/leases/0/client"
    assert fault["detail"] == "'02:42' is not of type mac: a MAC address"


def test_the_chart_has_an_address_and_an_answer(server: Serving) -> None:
    """Of the kind's question, with its aggregate, and by the type's column."""
    charts = server.get("/api/v1/charts/leases").json()["charts"]
    chart = next(each for each in charts if each["kind"] == "longest")
    parameters = {"value": "waited", "by": "client", "aggregate": "max"}
    assert chart["query"] == {"question": "top"} | parameters
    answer = server.get("/api/v1/top/leases", **parameters).json()
    entries = [(*entry["key"], entry["value"]) for entry in answer["entries"]]
    assert entries == [(FIRST, 70), (SECOND, 60)]


def test_an_agent_reads_a_field_of_the_type(package: Path) -> None:
    """From the bytes of a BPF program's struct, as the declaration says."""
    read = "from kscope.declare.types import TYPES as t; print(t['mac'].kernel.read({!r}))"
    run = python(package, "-c", read.format(bytes([2, 0x42, 0xAC, 0x11, 0, 2, 0, 0])))
    assert run.stdout == f"{FIRST}\n", run.stderr


@pytest.mark.browser
def test_the_page_draws_the_chart(server: Serving, page: Page) -> None:
    """In its own tab, by the mark of the kind, without a word about it in the page's code."""
    page.goto(f"{server.read}/?table=leases&from=now-1h&view=charts")
    figure = page.locator("figure", has_text="Longest Waited, by client")
    expect(figure.get_by_role("img")).to_be_visible()
    page.get_by_role("tab", name="Rows").click()
    expect(page.get_by_role("table")).to_contain_text(FIRST)
