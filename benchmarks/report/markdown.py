"""docs/performance.md as a function of the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.report.results import Measured, Part, Table, number
from benchmarks.report.sections import GOALS, GROWTH, GROWTH_OF_INGEST, SECTIONS, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.report.results import Cell, Machine

_HEAD = """\
# Performance

`benchmarks/run` measures these figures and writes this page; do not edit it. apt and pip bring
the peers. `benchmarks/run --list` shows the parts, `benchmarks/run PART` measures one again,
and `--rows` another size.

A figure is the median of the repetitions, in brackets the smallest and the largest. Ways that
are compared take turns within one run, and a ratio is of the two in the same repetition. Other
machines have other figures: compare ratios.
"""


def page(parts: Sequence[Part], known: Mapping[str, float]) -> str:
    """Return the page of these parts, in the order of the sections.

    `known` are the figures that docs/scaling.md is computed from, also those of earlier runs.
    """
    sections = [
        _section(section, [part for part in parts if part.name == section.name])
        for section in SECTIONS
    ]
    blocks = [
        _HEAD,
        _machines(parts),
        _measured(parts),
        _goals(parts),
        *sections,
        _scaling(parts, known),
    ]
    return "\n".join(filter(None, blocks))


def _scaling(parts: Sequence[Part], known: Mapping[str, float]) -> str:
    facts = {name: value for part in parts for name, value in part.found.facts.items()}
    lines = [
        f"- {name}: {facts[name]}"
        if name in facts
        else f"- {name}: {known[name]:g}, in another run"
        for name in sorted(known)
    ]
    about = "[scaling.md](scaling.md) computes servers, databases and disks of a fleet from these:"
    return "\n".join(["## Scaling", "", about, "", *lines, ""])


def _machines(parts: Sequence[Part]) -> str:
    found: dict[Machine, list[str]] = {}
    engines: dict[str, str] = {}
    for part in parts:
        found.setdefault(part.machine, []).append(part.key)
        engines |= part.found.engines
    lines = [
        f"- {_named(machine)}" + (f" ({', '.join(keys)})" if len(found) > 1 else "")
        for machine, keys in found.items()
    ]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(engines.items()))
    lines += [f"- {versions}"] if versions else []
    return "\n".join(["## Machine", "", *lines, ""]) if lines else ""


def _named(machine: Machine) -> str:
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory / 2**30:.0f} GiB,"
        f" {machine.system}, Python {machine.python}, SQLite {machine.sqlite}"
    )


def _measured(parts: Sequence[Part]) -> str:
    """List when each part was measured, and those that were not."""
    heads = ("part", "measured", "commit", "repetitions", "minutes", "load before and after")
    rows: list[tuple[Cell, ...]] = []
    for section in SECTIONS:
        of = [part for part in parts if part.name == section.name]
        rows += [_run(section, part) for part in of]
        if not of:
            rows.append((_link(section), "not measured", "", "", "", ""))
    return "\n".join(["## Measured", "", *_table_lines(heads, rows), ""])


def _run(section: Section, part: Part) -> tuple[Cell, ...]:
    before, after = part.load
    size = f", {int(part.variant):,} rows" if part.variant else ""
    quick = ", quick: few rows, once" if part.is_quick else ""
    minutes = f"{part.seconds / 60:.1f}"
    times = f"{before:.2f}, {after:.2f}"
    name = f"{_link(section)}{size}{quick}"
    return (name, part.date, part.commit, str(part.repeat), minutes, times)


def _link(section: Section) -> str:
    return f"[{section.title}](#{anchor(section.title)})"


def anchor(title: str) -> str:
    """Return the address of a heading within the page, as GitHub makes it."""
    kept = (char for char in title.lower() if char.isalnum() or char in " -_")
    return "".join(kept).replace(" ", "-")


def _goals(parts: Sequence[Part]) -> str:
    rows: list[tuple[Cell, ...]] = []
    for name, words, goal, is_most in GOALS:
        for part in parts:
            value = part.found.facts.get(name)
            if value is None:
                continue
            size = f", {int(part.variant):,} rows" if part.variant else ""
            reached = value.median <= goal if is_most else value.median >= goal
            side = "at most" if is_most else "at least"
            verdict = "reached" if reached else "missed"
            rows.append((f"{words}{size}", f"{side} {number(goal)}", value, verdict))
    heads = ("figure", "goal", "measured", "")
    return "\n".join(["## Goals", "", *_table_lines(heads, rows), ""]) if rows else ""


def _section(section: Section, parts: Sequence[Part]) -> str:
    lines = [f"## {section.title}", "", section.about, ""]
    if not parts:
        return "\n".join([*lines, f"Not measured: `benchmarks/run {section.name}`.", ""])
    for part in parts:
        lines += _part(part)
    if section.name == "ingest":
        lines += [GROWTH_OF_INGEST, ""]
    if section.name == "questions":
        lines += _growth(parts)
    return "\n".join(lines)


def _part(part: Part) -> Iterator[str]:
    for table in part.found.tables:
        yield from _table(table)
    for output in part.found.outputs:
        yield from (f"`{output.command}`", "", "```", output.text.strip("\n"), "```", "")
    if part.found.failures:
        named = f" with {int(part.variant):,} rows" if part.variant else ""
        yield from (f"Not measured{named}:", "")
        yield from (f"- {_plain(failure)}" for failure in part.found.failures)
        yield ""


def _plain(text: str) -> str:
    """Keep text from a program from being read as Markdown."""
    return f"`{text.replace('`', chr(39))}`"


def _table(table: Table) -> Iterator[str]:
    yield from (f"### {table.title}", "", *_table_lines(table.columns, table.rows), "")
    for note in table.notes:
        yield from (note, "")


def _table_lines(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    """Align columns with a measured figure to the right."""
    right = [any(isinstance(row[at], Measured) for row in rows) for at in range(len(heads))]
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('--:' if each else '---' for each in right)}|"
    for row in rows:
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |"


def _growth(parts: Sequence[Part]) -> Iterator[str]:
    """Compare the smallest with the largest size, question by question."""
    of = sorted((part for part in parts if part.found.facts), key=lambda part: int(part.variant))
    if len(of) < 2:
        return
    first, last = of[0], of[-1]
    times = int(last.variant) / int(first.variant)
    heads = ("question", "of rows", "of sums", "DuckDB", "because it")
    rows = []
    for name, reason in GROWTH.items():
        ways = (f"{name} of rows", f"{name} of sums", f"{name} by DuckDB")
        if ways[0] in first.found.facts and ways[0] in last.found.facts:
            rows.append((name, *(_factor(first, last, way) for way in ways), reason))
    title = f"How answers grow from {int(first.variant):,} to {int(last.variant):,} rows"
    yield from (f"### {title}", "")
    yield f"Times as long, by the medians, with {number(times)} times the rows."
    yield ""
    yield from _table_lines(heads, rows)
    yield ""
    yield "Sums have as many rows as there are hosts, stacks and hours, so they grow with these."
    yield ""


def _factor(first: Part, last: Part, name: str) -> Cell:
    before, after = first.found.facts.get(name), last.found.facts.get(name)
    return Measured((after.median / before.median,)) if before and after else ""
