"""Schemathesis, by the API's own description."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests import needs
from tests.query.test_rows import EVERYTHING
from tests.query.world import waits
from tests.serving import ROOT, Serving, serving

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

# A schema cannot say that a range ends after it begins, which texts are regular expressions, or
# which values have a mean: what it allows may be refused, with the reason. The examples may not.
NOT_OF_ALL = ("--exclude-checks", "positive_data_acceptance")


@dataclass(frozen=True)
class Run:
    """Which categories are asked about, by filters on which columns: all of them take minutes.

    The document has no links between operations, so there is no phase "stateful" for it.
    """

    tables: tuple[str, ...]
    filters: tuple[str, ...]
    phases: str = "coverage,fuzzing"
    examples: int = 10
    filled: bool = True
    # Whether what is about no single category is asked as well: once with rows, once without.
    common: bool = True
    checks: tuple[str, ...] = NOT_OF_ALL


# A column of each kind that is stored or compared differently, with all of its operators.
KINDS = ("process", "path", "started", "pid", "busy", "direct", "peer", "stack", "latencies")
# Questions about a category of every type that have filters on all of these columns: on rows, on
# stacks and on groups. All questions read filters alike: one column's tell whether the others do.
FILTERED = ("rows", "flamegraph", "top")
# A category of every type; without values; without stacks; with both, and not a row yet.
RUNS = {
    "every type": Run(("everything",), KINDS),
    "few columns": Run(("marker",), ("kind", "time"), common=False),
    "no rows": Run(("offcputime", "pressure"), ("hostname",), "fuzzing", filled=False),
    "examples": Run(
        ("everything", "marker", "offcputime", "pressure"), KINDS, "examples", 1, checks=()
    ),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Serving]]:
    """Yield a server with some rows, and one without any."""
    with ExitStack() as running:
        found = {}
        for filled in (True, False):
            folder = tmp_path_factory.mktemp("fuzzed")
            config = folder / "kernelscope.yaml"
            config.write_text(CONFIG)
            found[filled] = running.enter_context(serving(folder, "--config", config))
        fill(found[True])
        yield found


CONFIG = f"""\
database: {{sqlite: kernelscope.db}}
categories: [builtin, {ROOT}/tests/cases/every_type/categories]
"""


def fill(server: Serving) -> None:
    """Without times: rows of this moment, which is what questions are about unless told."""
    bare = [
        {name: value for name, value in row.items() if name not in ("hostname", "time")}
        for row in (EVERYTHING | {"started": "2026-11-23T00:00:00Z"}, *waits())
    ]
    for host in ("web-001", "web-002"):
        rows = {"everything": bare[:1], "offcputime": bare[1:]}
        server.post({"hostname": host, **rows, "marker": [{"kind": "deploy", "message": host}]})


def described(server: Serving, run: Run, folder: Path) -> Path:
    """Write the description of a run's categories, with its filters alone."""
    found = server.get("/api/v1/openapi.json").json()
    found["paths"] = {
        path: operations
        for path, operations in found["paths"].items()
        if _is_asked(path, next(iter(operations.values())).get("tags", ()), run)
    }
    schemas = found["components"]["schemas"]
    for name in [name for name in schemas if name.startswith(("filters", "base_filters_"))]:
        properties = schemas[name]["properties"]
        schemas[f"few_{name}"] = schemas[name] | {"properties": _of(properties, run.filters[:1])}
        schemas[name]["properties"] = _of(properties, run.filters)
    for path, operations in found["paths"].items():
        if not path.startswith(tuple(f"/api/v1/{question}/" for question in FILTERED)):
            for parameter in next(iter(operations.values())).get("parameters", ()):
                _narrow(parameter)
    seed = found["paths"]["/api"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    seed["properties"] = {table: seed["properties"][table] for table in run.tables}
    file = folder / "openapi.json"
    file.write_text(json.dumps(found))
    return file


def _is_asked(path: str, tags: Collection[str], run: Run) -> bool:
    # The seed's question names the categories in its body.
    return set(tags) <= set(run.tables) if tags or run.common else path == "/api"


def _of(properties: dict[str, Any], columns: Collection[str]) -> dict[str, Any]:
    return {
        filtered: operand
        for filtered, operand in properties.items()
        if filtered.removeprefix("base.").partition("__")[0] in columns
    }


def _narrow(parameter: dict[str, Any]) -> None:
    """Leave a question the filters of one column."""
    if parameter.get("name") in ("filters", "base_filters"):
        head, _, name = parameter["schema"]["$ref"].rpartition("/")
        parameter["schema"] = {"$ref": f"{head}/few_{name}"}


@pytest.mark.timeout(500)
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_fuzzing_finds_nothing_that_is_not_described(
    servers: dict[bool, Serving], run: Run, tmp_path: Path
) -> None:
    """No 500, no status, type or shape that the document does not have, no mistake let through."""
    needs.module("schemathesis", "schemathesis")
    server = servers[run.filled]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            *(str(described(server, run, tmp_path)), "--url", server.read, *run.checks),
            *("--phases", run.phases, "--max-examples", str(run.examples), "--seed", "1"),
            *("--no-color", "--request-timeout", "20"),
        ],
        # It keeps what it found in the current folder.
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=480,
    )
    assert done.returncode == 0, done.stdout.decode()[-6000:] + done.stderr.decode()[-2000:]
    assert "Traceback" not in server.log
