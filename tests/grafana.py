"""Grafana's part: its macros and variables in a query, and what its panels make of an answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import httpx

SECOND = 1_000_000
Node = tuple[tuple[str, ...], float, float]


@dataclass(frozen=True)
class View:
    """The state of a dashboard. Times are in seconds; `hosts` are the values that are chosen."""

    since: int
    until: int
    step: int = 60
    hosts: Sequence[str] = ()


@dataclass(frozen=True)
class Dashboard:
    found: dict[str, Any]

    @property
    def panels(self) -> list[dict[str, Any]]:
        panels: list[dict[str, Any]] = self.found["panels"]
        return panels

    @property
    def variable(self) -> dict[str, Any]:
        """The variable of hosts."""
        variable: dict[str, Any] = self.found["templating"]["list"][1]
        return variable

    def filled(self, text: str, view: View) -> str:
        """Replace macros and variables as Grafana does, in its own part and in the plugins'."""
        moments = {"from": view.since, "to": view.until}
        known = {
            "$__interval_ms": str(view.step * 1000),
            "$__unixEpochFrom()": str(view.since),
            "$__unixEpochTo()": str(view.until),
            "$__fromTime": f"toDateTime({view.since})",
            "$__toTime": f"toDateTime({view.until})",
            # A value for all hosts is put in as it is.
            "${hostname:csv}": ",".join(view.hosts) or self.variable["allValue"],
        }
        for name, time in moments.items():
            iso = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
            known[f"${{__{name}:date:iso}}"] = iso.replace("+00:00", "Z")
        for name, value in known.items():
            text = text.replace(name, value)
        assert "$__" not in text, text
        assert "${" not in text, text
        return text

    def sql(self, view: View) -> Iterator[tuple[dict[str, Any], str]]:
        """Yield each panel with its statement."""
        for panel in self.panels:
            (target,) = panel["targets"]
            yield panel, self.filled(target["rawSql"], view)

    def hosts(self, view: View) -> str:
        """Return the statement of the variable."""
        return self.filled(self.variable["query"], view)


def dashboards(folder: Path) -> dict[str, Dashboard]:
    return {path.stem: Dashboard(json.loads(path.read_text())) for path in folder.glob("*.json")}


def address(board: Dashboard, query: dict[str, Any], view: View) -> tuple[str, dict[str, str]]:
    """Return the path and the parameters that Infinity sends."""
    params = query["url_options"]["params"]
    return query["url"], {each["key"]: board.filled(each["value"], view) for each in params}


def columns(query: dict[str, Any], answer: httpx.Response) -> list[dict[str, Any]]:
    """Read an answer as Infinity's backend does: only the columns that the query names, typed."""
    rows = answer.json()
    assert isinstance(rows, list)
    for row in rows:
        assert {each["selector"] for each in query["columns"]} <= row.keys()
    return [
        {each["text"]: _typed(each["type"], row[each["selector"]]) for each in query["columns"]}
        for row in rows
    ]


def _typed(kind: str, value: Any) -> Any:
    if kind == "number":
        return None if value is None else float(value)
    return datetime.fromisoformat(value).timestamp() if kind == "timestamp" else value


def nodes(rows: Sequence[tuple[str, float, float, float]]) -> list[Node]:
    """Check label, level, value and self as the flame graph panel reads them.

    Return each node's path, value and self. One root, parents directly before their children, the
    values of children within their parent's.
    """
    found: list[Node] = []
    way: list[str] = []
    below: list[float] = []
    for place, (label, level, value, own) in enumerate(rows):
        depth = int(level)
        assert (depth == 0) == (place == 0)
        assert depth <= len(way)
        way[depth:], below[depth:] = [label], [value - own]
        if depth:
            below[depth - 1] -= value
            assert below[depth - 1] > -1e-6
        found.append((tuple(way), value, own))
    assert len({path for path, *_ in found}) == len(found)
    return found
