"""Senders with other releases of opentelemetry-proto: two layouts are refused, one is read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.receiving import receiving, rows
from tests.senders import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.serving import Serving

PROGRAM = Path(__file__).parent / "otlp_release.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with receiving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.mark.parametrize(
    ("version", "status"),
    [("1.39.0", 400), ("1.40.0", 400), ("1.42.0", 400), ("1.43.0", 200), ("own", 200)],
)
def test_a_release(server: Serving, version: str, status: int) -> None:
    """And our own, which the other tests use."""
    environment = dict(os.environ)
    if version != "own":
        folder = installed.python_package("opentelemetry-proto", version, "--no-deps")
        environment["PYTHONPATH"] = str(folder)
    command = [sys.executable, PROGRAM, f"of {version}"]
    made = subprocess.run(command, env=environment, capture_output=True, check=True)
    answer = server.client.post(
        f"{server.ingest}/v1development/profiles",
        content=made.stdout,
        headers={"Content-Type": "application/x-protobuf"},
    )
    assert answer.status_code == status, answer.content
    found = rows(server, "profile", hostname=f"of {version}")
    if status == 200:
        assert [(row["pid"], row["stack"], row["elapsed"]) for row in found] == [
            (7, "main", 50_000)
        ]
    else:
        assert found == []
        assert b"opentelemetry-proto 1.43 to 1.45" in answer.content
