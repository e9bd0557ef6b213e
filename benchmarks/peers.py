"""Recordings of `perf script` that other projects publish: are they read as FlameGraph reads them?

`python -m benchmarks.peers FOLDER` prints a table of the files in clones of FlameGraph, inferno,
speedscope and flamescope. stackcollapse-perf.pl, which FlameGraph's clone has, folds each file,
too. Names that the two write in different ways are made equal first (see `_plain`). Frames of the
stacks that are still different are printed.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from kscope.cli.rows_for import stored_category
from kscope.errors import KscopeError
from kscope.readers.reading.base import Options
from kscope.readers.reading.content import FileContent
from kscope.readers.recording import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACES = (
    "**/test/perf-*.txt",
    "**/example-perf-stacks.txt.gz",
    "**/collapse-perf/*.txt",
    "**/collapse-guess/*perf*.txt",
    "**/linux-perf/*.linux-perf.txt",
    "**/examples/perf.*",
)
_COLLAPSE = "**/stackcollapse-perf.pl"
# FlameGraph adds up periods; without them it counts samples, as we do.
_PERIOD = re.compile(r"(:\s*)\d+(\s+\S+:\s*)$", re.MULTILINE)
_ARGUMENTS = re.compile(r"\((?!anonymous namespace\)).*")
_GO_METHOD = re.compile(r"\.\(.*\)\.")
_KERNEL = "_[k]"
_MARK = re.compile(r"_\[[ki]\]$")
_LIBRARY = re.compile(r"(?<=\S) \[[^\[\]]*\]$")
_MOST_SHOWN = 10


def main() -> None:
    folder = Path(sys.argv[1])
    collapse = next(folder.glob(_COLLAPSE), None)
    if collapse is None:
        sys.exit(f"{folder}: has no stackcollapse-perf.pl, which a clone of FlameGraph has")
    columns = ("samples", "FlameGraph's", "same stacks", "same with the kernel's marks")
    print(f"| {'file':42} | {' | '.join(columns)} | skipped lines |")
    print("|---|--:|--:|--:|--:|---|")
    for place in _PLACES:
        for file in sorted(folder.glob(place)):
            _compare(file, collapse)


def _compare(file: Path, collapse: Path) -> None:
    try:
        ours, told = _ours(file)
    except KscopeError as error:
        print(f"| {file.name:42} | - | - | - | - | {str(error).rpartition('/')[2]} |")
        return
    theirs = _theirs(file, collapse)
    marked = sum((ours & theirs).values())
    ours, theirs = _unmarked(ours), _unmarked(theirs)
    same = sum((ours & theirs).values())
    counts = f"{ours.total():7} | {theirs.total():12} | {same:11} | {marked}"
    print(f"| {file.name:42} | {counts} | {'; '.join(told)} |")
    _show([*(ours - theirs)], [*(theirs - ours)])


def _unmarked(stacks: Counter[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for stack, count in stacks.items():
        found[stack.replace(_KERNEL, "")] += count
    return found


def _show(ours: list[str], theirs: list[str]) -> None:
    """Print the frames in which the stacks that only one of the two has are different."""
    frames = [
        Counter(frame for stack in each for frame in stack.split(";")) for each in (ours, theirs)
    ]
    for sign, one, other in (("+", *frames), ("-", *reversed(frames))):
        for frame, count in (one - other).most_common(_MOST_SHOWN):
            print(f"  {sign} {frame} in {count} stacks", file=sys.stderr)


def _ours(file: Path) -> tuple[Counter[str], list[str]]:
    """Return how often each stack was sampled, and which lines were skipped."""
    category = stored_category("profile", ["builtin"])
    options = Options(value="samples")
    recording = opened(str(file), FileContent(file, str(file)), category, options)
    reading = recording.reading()
    stacks: Counter[str] = Counter()
    for line in recording.lines(reading):
        frames = [each for each in line.row["stack"].split(";") if each]
        stacks[";".join(_plain_stack(line.row["process"], frames))] += line.row["samples"]
    return stacks, [*reading.skipped.told()]


def _theirs(file: Path, collapse: Path) -> Counter[str]:
    raw = file.read_bytes()
    text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode(errors="replace")
    done = subprocess.run(
        ["perl", collapse, "--kernel"],
        input=_PERIOD.sub(r"\1\2", text) + "\n\n",
        capture_output=True,
        text=True,
        check=True,
    )
    stacks: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        stack, _, count = line.rpartition(" ")
        process, *frames = stack.split(";")
        stacks[";".join(_plain_stack(process, frames))] += int(count)
    return stacks


def _plain_stack(process: str, frames: list[str]) -> Iterator[str]:
    yield process.replace(" ", "_")
    for frame in frames:
        # FlameGraph splits every name at an arrow, and leaves out names in an anonymous namespace.
        yield from (_plain(part) for part in frame.split("->") if not frame.startswith("("))


def _plain(frame: str) -> str:
    """Return a name as both write it: without arguments, libraries, quotes and FlameGraph's mark
    of inlined functions.
    """
    mark = _KERNEL if frame.endswith(_KERNEL) else ""
    name = _LIBRARY.sub("", _MARK.sub("", frame))
    if not _GO_METHOD.search(name):
        name = _ARGUMENTS.sub("", name)
    # A frame without a name is [libc.so.6] for FlameGraph, `[unknown] [libc.so.6]` for us.
    nameless = not name.strip() or re.fullmatch(r"\[.*\]", name)
    return ("[unknown]" if nameless else re.sub("[\"']", "", name).strip()) + mark


if __name__ == "__main__":
    main()
