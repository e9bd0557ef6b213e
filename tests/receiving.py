"""A server that takes in profiles of other senders, and the rows that they become."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SPAN = {"from": "2026-01-01", "to": "2027-06-01"}
# The example of docs/data-types.md.
HEAP = """\
table: heap
columns:
  - {name: process, type: string}
  - {name: region, type: label, default: ""}
  - {name: stack, type: stack}
  - {name: allocated, type: bytes}
  - {name: objects, type: count, default: 0}
receive:
  pyroscope:
    types: {alloc_space/bytes: allocated, alloc_objects/count: objects}
    columns: {process: service_name, region: [region, zone], hostname: node}
"""


@contextmanager
def receiving(
    folder: Path,
    settings: str = "",
    receive: str = "{otlp: , pyroscope: }",
    categories: Sequence[str] = (HEAP,),
) -> Iterator[Serving]:
    """Start a server with both receivers, the built-in categories and others."""
    (folder / "mine").mkdir()
    for number, text in enumerate(categories):
        (folder / "mine" / f"{number}.yaml").write_text(text)
    config = folder / "kernelscope.yaml"
    config.write_text(f"categories: [builtin, mine]\nreceive: {receive}\n{settings}")
    with serving(folder, "--config", config) as server:
        yield server


def rows(server: Serving, table: str, **filters: str) -> list[dict[str, Any]]:
    """Return the rows of a table, the oldest first."""
    answer = server.get(f"/api/v1/rows/{table}", **SPAN, **filters)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    named = [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]
    return sorted(named, key=lambda row: (row["time"], row["stack"]))


def counted(server: Serving, name: str, **labels: str) -> float:
    """Return a counter of /metrics; 0 if it is not there."""
    listed = ",".join(f'{label}="{value}"' for label, value in labels.items())
    wanted = f"kscope_{name}{{{listed}}} "
    lines = server.client.get(f"{server.ingest}/metrics").text.splitlines()
    return next((float(line[len(wanted) :]) for line in lines if line.startswith(wanted)), 0)
