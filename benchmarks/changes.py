"""Whether "What changed here?" names a planted cause first, and stays silent in quiet windows.

    python -m benchmarks.changes [--fast] [--worlds 1] [--seed 1] [--vary] [--only KIND] [--misses]

Each world is a fleet of six hosts with realistic noise: 24 windows of ten minutes, and one more in
which an incident is planted, at one of three levels. Each is played into a new server through the
ingest API, and `/api/v1/changes` is asked about the last window; an interrupt prints the figures
so far. With --fast the measure is asked directly, which takes a second a world and also has the
lengths of waits. --vary takes 1 to 30 hosts, windows of 1 to 60 minutes, and five kinds of noise.
The same seed gives the same worlds; --misses prints those that were not as planted.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pool

from benchmarks.incidents import direct, played
from benchmarks.incidents.kinds import BURSTS, HARMLESS, INCIDENTS, LEVELS, Line
from benchmarks.incidents.noise import KINDS
from benchmarks.incidents.others import OTHERS
from benchmarks.incidents.world import Setting, World

ALL = INCIDENTS | BURSTS | HARMLESS | OTHERS
# Worlds of a kind for each of the others: quiet windows are what a user sees most.
_QUIET, _HARMLESS = 12, 2
_FIRST_LINES = 3


@dataclass(frozen=True)
class Task:
    kind: str
    level: int
    setting: Setting
    fast: bool


@dataclass(frozen=True)
class Outcome:
    """`place` is where the planted cause is among the unusual lines, `shown` among all."""

    task: Task
    place: int | None
    shown: int | None
    lines: list[str]
    seconds: float

    @property
    def first(self) -> bool:
        return self.place == 0

    @property
    def near(self) -> bool:
        return self.place is not None and self.place < _FIRST_LINES

    @property
    def wrong(self) -> bool:
        return bool(self.lines) if self.task.kind in HARMLESS else not self.first

    def __str__(self) -> str:
        task = self.task
        level = "" if task.kind in HARMLESS else f", {LEVELS[task.level]}"
        return "\n    ".join([f"{task.kind}{level}, seed {task.setting}", *self.lines])


def play(task: Task) -> Outcome:
    world = World(task.setting)
    test = ALL[task.kind](world, task.level)
    return directly(task, world, test) if task.fast else through_the_api(task, world, test)


def directly(task: Task, world: World, test: Callable[[Line], bool]) -> Outcome:
    readings, hosts = direct.readings(world), direct.hosts(world)
    started = time.process_time()
    found = direct.changes(readings, hosts)
    seconds = time.process_time() - started
    unusual = [each for each in found if each.unusual]
    lines = [
        f"{each.table} {each.column} {each.kind} {each.change}: {', '.join(each.hosts)},"
        f" {each.process}, {each.name}; z {each.z:.1f}, part {each.part:.3f},"
        f" lasting {each.lasting:.2f}"
        for each in unusual
    ]
    places = [place([direct.line(each) for each in some], test) for some in (unusual, found)]
    return Outcome(task, *places, lines, seconds)


def through_the_api(task: Task, world: World, test: Callable[[Line], bool]) -> Outcome:
    answer = played.ask(world)
    unusual = [played.line(each) for each in answer["findings"]]
    usual = [played.line(each) for each in answer["more"]]
    lines = [each["text"] for each in answer["findings"]]
    places = [place(some, test) for some in (unusual, [*unusual, *usual])]
    return Outcome(task, *places, lines, answer["elapsed_ms"] / 1000)


def place(lines: Sequence[Line], test: Callable[[Line], bool]) -> int | None:
    return next((at for at, each in enumerate(lines) if test(each)), None)


def tasks(asked: argparse.Namespace) -> list[Task]:
    found: list[Task] = []
    for kind in ALL:
        levels = 1 if kind in HARMLESS else len(LEVELS)
        times = _QUIET if kind == "quiet" else _HARMLESS if kind in HARMLESS else 1
        for level in range(levels):
            for _ in range(asked.worlds * times):
                number = asked.seed * 100_000 + len(found)
                chosen = varied(number) if asked.vary else Setting(number, minutes=10)
                found.append(Task(kind, level, chosen, asked.fast))
    return [each for each in found if asked.only in each.kind]


def varied(number: int) -> Setting:
    return Setting(
        number,
        hosts=(6, 1, 2, 4, 10, 30)[number % 6],
        minutes=(6, 1, 10, 30, 60, 3)[number // 2 % 6],
        noise=[*KINDS][number % len(KINDS)],
        busy=(1, 1, 0.2, 3)[number // 3 % 4],
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fast", action="store_true", help="ask the measure directly")
    parser.add_argument("--worlds", type=int, default=1, help="worlds of each kind and level")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vary", action="store_true", help="vary hosts, windows and noise")
    parser.add_argument("--only", default="", help="part of the name of a kind")
    parser.add_argument("--jobs", type=int, default=2, help="worlds at a time, with --fast")
    parser.add_argument("--misses", action="store_true", help="print those not as planted")
    asked = parser.parse_args()
    todo = tasks(asked)
    if asked.fast:
        with Pool(asked.jobs) as pool:
            outcomes = pool.map(play, todo, chunksize=4)
    else:
        outcomes = one_by_one(todo)
    if asked.misses:
        print(*(each for each in outcomes if each.wrong), sep="\n")
    report(outcomes)


def one_by_one(todo: Sequence[Task]) -> list[Outcome]:
    """Play worlds in a mixed order; an interrupt ends it with the report of those done."""
    outcomes = []
    with suppress(KeyboardInterrupt):
        for task in random.Random(0).sample(todo, len(todo)):
            outcomes.append(play(task))
            print(f"{len(outcomes)} of {len(todo)}", end="\r", file=sys.stderr)
    return outcomes


def report(outcomes: Sequence[Outcome]) -> None:
    by: defaultdict[str, list[list[Outcome]]] = defaultdict(lambda: [[], [], []])
    for each in outcomes:
        by[each.task.kind][each.task.level].append(each)
    harmless = {kind: by[kind][0] for kind in HARMLESS if kind in by}
    for kinds in (INCIDENTS | BURSTS, OTHERS):
        if incidents := {kind: by[kind] for kind in kinds if kind in by}:
            report_incidents(incidents)
    if harmless:
        report_harmless(harmless)
    seconds = sorted(each.seconds for each in outcomes)
    print(f"\nAn answer takes {seconds[len(seconds) // 2]:.2f} s (median of {len(seconds)}).")


def report_incidents(by: Mapping[str, Sequence[Sequence[Outcome]]]) -> None:
    print("| planted cause first | weak | medium | strong |\n|---|---|---|---|")
    for kind, levels in by.items():
        cells = (f"{sum(each.first for each in level)} of {len(level)}" for level in levels)
        print(f"| {kind} | {' | '.join(cells)} |")
    levels = [
        [e for kind, of in by.items() if kind not in BURSTS for e in of[at]] for at in range(3)
    ]
    for name, test in (("**all**", first), ("in the first three", near)):
        print(f"| {name} | {' | '.join(share(level, test) for level in levels)} |")
    print()
    if bursts := [each for kind in BURSTS for level in by.get(kind, ()) for each in level]:
        shown = share(bursts, lambda each: each.shown is not None and each.shown < _FIRST_LINES)
        print(f"Bursts among the first three lines, marked or not: {shown}.\n")


def report_harmless(by: Mapping[str, Sequence[Outcome]]) -> None:
    print("| unusual lines | none | at most one | at most two | most |\n|---|---|---|---|---|")
    for kind, group in by.items():
        cells = [share(group, lambda each, n=n: len(each.lines) <= n) for n in range(3)]
        print(f"| {kind} | {' | '.join(cells)} | {max(len(each.lines) for each in group)} |")


def first(outcome: Outcome) -> bool:
    return outcome.first


def near(outcome: Outcome) -> bool:
    return outcome.near


def share(group: Sequence[Outcome], test: Callable[[Outcome], bool]) -> str:
    if not group:
        return "-"
    return f"{100 * sum(map(test, group)) / len(group):.0f} % of {len(group)}"


if __name__ == "__main__":
    main()
