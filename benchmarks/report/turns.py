"""Ways that take turns, so that all of them have the same machine."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """`rows` are the sizes to measure, empty for a part's default; `engines` are databases."""

    repeat: int = 3
    rows: tuple[int, ...] = ()
    engines: tuple[str, ...] = ("sqlite", "mariadb", "clickhouse")
    is_quick: bool = False

    def size(self, usual: int, quick: int) -> int:
        """Return the first of `rows`, or the default."""
        return self.rows[0] if self.rows else quick if self.is_quick else usual


@dataclass(frozen=True)
class Taken(Generic[T]):
    """The results of each way, by its name; a way that failed has none, and a reason."""

    results: dict[str, list[T]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def take_turns(ways: Mapping[str, Callable[[Path], T]], repeat: int) -> Taken[T]:
    """Run every way once, each in a new folder, and so on; leave out those that fail."""
    taken: Taken[T] = Taken({name: [] for name in ways})
    for _ in range(repeat):
        for name in [*taken.results]:
            say(name)
            try:
                with tempfile.TemporaryDirectory() as folder:
                    taken.results[name].append(ways[name](Path(folder)))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - an exit too: the report shows it
                taken.failures.append(f"{name}: {reason(error)}")
                del taken.results[name]
    return taken


def reason(error: BaseException) -> str:
    """Return the first and the last line of its text."""
    lines = str(error).strip().splitlines() or [""]
    text = " ... ".join(dict.fromkeys((lines[0], lines[-1])))
    return f"{type(error).__name__}: {text[:300]}"


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}   {text}", file=sys.stderr, flush=True)


def bytes_of(folder: Path) -> int:
    """Return the room that a folder's files take on the disk."""
    return sum(path.stat().st_blocks for path in folder.rglob("*") if path.is_file()) * 512
