"""Measure parts, keep their results in .work/benchmarks, and write docs/performance.md of all.

    benchmarks/run [PART ...] [--repeat 3] [--rows N ...] [--engines sqlite ...] [--quick]
    benchmarks/run --report | --list

Without a PART those that are marked in `--list` are measured. `--rows` replaces the sizes that a
part has by default: `questions` takes several. `--quick` measures few rows once, to see that each
part works: its results and its page are in .work/benchmarks/quick.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.report import machine, measured
from benchmarks.report.markdown import page
from benchmarks.report.results import load
from benchmarks.report.running import run
from benchmarks.report.sections import SECTIONS, Section
from benchmarks.report.turns import Options, say

FOLDER = machine.ROOT / ".work/benchmarks"
PAGE = machine.ROOT / "docs/performance.md"
_BY_NAME = {section.name: section for section in SECTIONS}


def main() -> None:
    given = _arguments()
    if given.list:
        print(*map(_listed, SECTIONS), sep="\n")
        return
    options = Options(
        repeat=1 if given.quick else given.repeat,
        rows=tuple(given.rows),
        engines=tuple(given.engines),
        is_quick=given.quick,
    )
    folder = FOLDER / "quick" if given.quick else FOLDER
    if not given.report:
        chosen = given.parts or [each.name for each in SECTIONS if each.is_usual or given.quick]
        for name in chosen:
            for variant in _BY_NAME[name].variants(options):
                run(_BY_NAME[name], variant, options, folder)
    _write(folder, folder / "performance.md" if given.quick else PAGE, is_quick=given.quick)


def _write(folder: Path, path: Path, *, is_quick: bool) -> None:
    parts = load(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = measured.merged(measured.known(), parts)
    path.write_text(page(parts, figures))
    say(f"{path} has the figures of {', '.join(part.key for part in parts) or 'no part'}")
    if not is_quick:
        measured.write(figures)


def _listed(section: Section) -> str:
    mark = "*" if section.is_usual else " "
    return f"{mark} {section.name:10} {section.minutes:3} min  {section.title}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="a name of --list")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[])
    engines = Options().engines
    parser.add_argument("--engines", nargs="+", choices=engines, default=engines)
    parser.add_argument("--quick", action="store_true", help="few rows, once")
    parser.add_argument("--report", action="store_true", help="only write the page")
    parser.add_argument("--list", action="store_true", help="show the parts")
    given = parser.parse_args()
    if unknown := sorted({*given.parts} - _BY_NAME.keys()):
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(_BY_NAME)}")
    if given.repeat < 1 or any(rows < 1 for rows in given.rows):
        parser.error("--repeat and --rows are at least 1")
    return given


if __name__ == "__main__":
    main()
