"""Schemathesis on the ingest listener by its own description, and on both listeners with tokens."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from kscope.server.http.problems import OPEN_PATHS
from kscope.server.http.tokens import token_hash
from tests import needs
from tests.query.test_fuzz import NOT_OF_ALL
from tests.receiving import counted
from tests.serving import ROOT, Serving, few, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "kscope_fuzzed"
SETTINGS = f"""\
categories: [few/categories, {ROOT}/tests/cases/every_type/categories]
receive: {{otlp: , pyroscope: }}
accept: {{newest: none}}
"""
BEARER = f"Bearer {TOKEN}"
# A server answers 20 wrong tokens of an address in a minute; then it throttles them.
WRONG_AT_ONCE = 19
TOKENS = f"tokens: [{{name: all, scopes: [ingest, read], sha256: {token_hash(TOKEN)}}}]\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Yield a server without tokens, and with all receivers."""
    with configured(tmp_path_factory.mktemp("rows"), SETTINGS) as running:
        yield running


def configured(folder: Path, text: str) -> Any:
    _, config = few(folder, "marker")
    (folder / "few.yaml").write_text(text)
    return serving(folder, "--config", config)


def described(address: str, server: Serving, **headers: str) -> dict[str, Any]:
    """Return the document of a listener; one with tokens does not answer without."""
    answer = server.client.get(f"{address}/api/v1/openapi.json", headers=headers)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def fuzz(found: dict[str, Any], folder: Path, address: str, *options: str) -> None:
    needs.module("schemathesis", "schemathesis")
    document = folder / "openapi.json"
    document.write_text(json.dumps(found))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", address),
            *("--seed", "1", "--no-color", "--request-timeout", "20", *options),
        ],
        # It keeps what it found in the current folder.
        cwd=document.parent,
        capture_output=True,
        check=False,
        timeout=480,
    )
    assert done.returncode == 0, done.stdout.decode()[-6000:] + done.stderr.decode()[-2000:]


@pytest.mark.timeout(500)
def test_fuzzing_rows_finds_nothing_that_is_not_described(server: Serving, tmp_path: Path) -> None:
    """Rows, columns, markers, profiles: no 500, and nothing that the document does not have."""
    document = described(server.ingest, server)
    phases = ("--phases", "examples,coverage,fuzzing", "--max-examples", "20", *NOT_OF_ALL)
    fuzz(document, tmp_path, server.ingest, *phases)
    # Not all of them were wrong.
    assert counted(server, "http_answers_total", listener="ingest", status="200") > 20
    assert server.get("/api/v1/categories").status_code == 200
    assert "Traceback" not in server.log


@pytest.mark.timeout(500)
@pytest.mark.parametrize("listener", ["ingest", "read"])
def test_nothing_is_answered_without_a_token(tmp_path: Path, listener: str) -> None:
    """Each operation of each listener refuses requests without a token, and with a wrong one."""
    given = ("-H", f"Authorization: {BEARER}", "--max-examples", "2", "--phases", "fuzzing")
    asked, known = 0, 1
    while asked < known:
        folder = tmp_path / str(asked)
        folder.mkdir()
        with configured(folder, SETTINGS + TOKENS) as guarded:
            address = getattr(guarded, listener)
            document = described(address, guarded, Authorization=BEARER)
            document["security"] = [{"token": []}]
            guards = {p: o for p, o in document["paths"].items() if p not in OPEN_PATHS}
            part = islice(guards.items(), asked, asked + WRONG_AT_ONCE)
            asked, known = asked + WRONG_AT_ONCE, len(guards)
            found = document | {"paths": dict(part)}
            fuzz(found, folder, address, *given, "--checks", "ignored_auth,not_a_server_error")
            assert "Traceback" not in guarded.log
