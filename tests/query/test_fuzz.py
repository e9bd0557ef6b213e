"""Schemathesis, by the API's own description."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.query.test_rows import EVERYTHING
from tests.serving import ROOT, Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Give a server with one category of every type, and a row in it."""
    folder = tmp_path_factory.mktemp("fuzzed")
    config = folder / "kernelscope.yaml"
    config.write_text(CONFIG)
    with serving(folder, "--config", config) as running:
        row = {
            name: value for name, value in EVERYTHING.items() if name not in ("hostname", "time")
        }
        running.post(
            {"hostname": "web-001", "everything": [row | {"started": "2026-11-23T00:00:00Z"}]}
        )
        yield running


CONFIG = f"""\
database: {{sqlite: kernelscope.db}}
categories: [{ROOT}/tests/cases/every_type/categories]
"""


def fewer_filters(server: Serving, folder: Path) -> Path:
    """Write the document with each tenth filter: all of them take minutes to make requests of."""
    document = server.get("/api/v1/openapi.json").json()
    for name, schema in document["components"]["schemas"].items():
        if "filters_" in name:
            schema["properties"] = dict(list(schema["properties"].items())[::10])
    file = folder / "openapi.json"
    file.write_text(json.dumps(document))
    return file


def test_fuzzing_finds_nothing_that_is_not_described(server: Serving, tmp_path: Path) -> None:
    """No 500, no status, type or shape that the document does not have, no mistake let through."""
    needs.module("schemathesis", "schemathesis")
    checks = "not_a_server_error,status_code_conformance,content_type_conformance"
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            *(str(fewer_filters(server, tmp_path)), "--url", server.read),
            *("--checks", f"{checks},response_schema_conformance,negative_data_rejection"),
            *("--max-examples", "10", "--seed", "1", "--no-color", "--phases", "fuzzing"),
            *("--request-timeout", "20"),
        ],
        # It keeps what it found in the current folder.
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=110,
    )
    assert run.returncode == 0, run.stdout.decode()[-6000:] + run.stderr.decode()[-2000:]
    assert "Traceback" not in server.log
