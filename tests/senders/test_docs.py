"""docs/receivers.md: its snippets run as they stand there, with another address and token."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from kscope.config import ReceiverSettings, ReceiveSettings, parse_settings
from kscope.server.http.tokens import token_hash
from tests.receiving import HEAP, receiving, rows
from tests.senders import installed
from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.serving import Serving

PAGE = (ROOT / "docs" / "receivers.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
TOKENS = f"""\
tokens:
  - {{name: all, scopes: [read, ingest], sha256: {token_hash("TOKEN")}}}
"""
BUSY_PYTHON = """
import time
def burn():
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        sum(range(1000))
burn()
pyroscope.shutdown()
time.sleep(1)
"""
BUSY_NODE = """
function burn() {
  const end = Date.now() + 300;
  let count = 0;
  while (Date.now() < end) count += Math.sqrt(count);
}
setTimeout(burn, 300);
setTimeout(burn, 700);
setTimeout(() => Pyroscope.stop().then(() => process.exit(0)), 1200);
"""


def block(kind: str, start: str = "") -> str:
    """Return the one block of a language that begins so."""
    (found,) = [text for language, text in BLOCKS if language == kind and text.startswith(start)]
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    walltime = block("yaml", "# mine/walltime.yaml")
    folder = tmp_path_factory.mktemp("served")
    with receiving(folder, TOKENS, categories=[HEAP, walltime]) as running:
        running.client.headers["Authorization"] = "Bearer TOKEN"
        yield running


def test_the_example_of_data_types_is_the_tested_one() -> None:
    assert HEAP in (ROOT / "docs" / "data-types.md").read_text()


def test_the_settings(tmp_path: Path) -> None:
    text = block("yaml", "# kernelscope.yaml")
    settings = parse_settings(text, "kernelscope.yaml", tmp_path)
    assert settings.receive == ReceiveSettings(ReceiverSettings("web-001"), ReceiverSettings())


def test_the_clients(server: Serving, tmp_path: Path) -> None:
    """Python's CPU time, and Node's CPU and wall time, each from the host that its tag names."""
    python, node = tmp_path / "shop.py", tmp_path / "shop.js"
    for file, kind, busy in ((python, "python", BUSY_PYTHON), (node, "js", BUSY_NODE)):
        text = block(kind).replace("http://127.0.0.1:8081", server.ingest)
        file.write_text(text.replace("shop", kind) + busy)
    with ThreadPoolExecutor() as pool:
        package = installed.python_package("pyroscope-io", "1.4.0")
        modules = installed.node_package("@pyroscope/nodejs", "0.6.4")
        running = [
            pool.submit(installed.python, python, package),
            pool.submit(installed.node, node, modules),
        ]
        for each in running:
            assert each.result().returncode == 0, each.result().stderr
    found = {row["process"]: row for row in rows(server, "profile", hostname="web-001")}
    assert found.keys() == {"python", "js"}
    assert found["python"]["pid"]
    walltime = rows(server, "walltime", hostname="web-001")
    assert sum(row["elapsed"] for row in walltime if ":burn:" in row["stack"]) > 100_000


def test_folded_text_from_a_script(server: Serving) -> None:
    command = block("sh").replace("http://127.0.0.1:8081", server.ingest)
    subprocess.run(["bash", "-c", command.replace("name=shop", "name=script")], check=True)
    (row,) = rows(server, "profile", process="script")
    assert (row["hostname"], row["stack"], row["samples"]) == ("web-001", "main;work", 12)
    assert row["elapsed"] == 120_000
