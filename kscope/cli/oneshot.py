"""`kscope agent NAME --folded`, `--json`, `--record`: run a probe without a server."""

import json
import logging
import time
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Any

import click

from kscope.agent.engines.base import Engine
from kscope.agent.engines.replay import Recorder
from kscope.agent.rows.convert import Merged, adds_up
from kscope.agent.rows.folded_output import Folded
from kscope.agent.rows.interval import Fault, Row
from kscope.agent.run.configure import ProbeRequest, engine
from kscope.agent.stacks.walk import NAMELESS
from kscope.cli.running import prepare
from kscope.declare.model import Category
from kscope.errors import printable

log = logging.getLogger(__name__)
# Maps are sized for an interval; a long trace must not fill them.
_DRAIN_EVERY = 1.0
_TICK = 0.1

_MOST_BINARIES = 5
_LOSSES = {
    "stacks_collided": ("stacks, their slots were taken", "--stacks"),
    "stacks_full": ("stacks, the map was full", "--stacks"),
    "stacks_other": ("stacks", ""),
    "keys_full": ("updates, the map was full", "--keys"),
    "starts_full": ("starts, the map of unfinished events was full", "--keys"),
    "events": ("events, they arrived faster than they could be read", ""),
    "values": ("rows, a value did not fit its column or the keys were too many", ""),
    "runs": ("runs of the program, another one was running on that CPU", ""),
}


def trace(category: Category, request: ProbeRequest, flags: Mapping[str, Any]) -> None:
    """Trace for --duration seconds or until Ctrl-C. Write a recording, or print rows as JSON or as
    folded stacks; then print the losses.
    """
    lost, faults = Counter[str](), Counter[Fault]()
    with closing(_intervals(category, request, flags, lost, faults)) as intervals:
        if path := flags["record"]:
            recorder = Recorder(path, category, request.hostname, request.interval)
            with closing(recorder):
                for at, rows in intervals:
                    recorder.add(at, rows)
        elif flags["folded"]:
            folded = Folded(category)
            for _, rows in intervals:
                folded.add(rows)
            for line in folded.lines():
                click.echo(line)
        else:
            _print(category, (rows for _, rows in intervals))
    _warn(category, lost)
    _warn_of_binaries(category, faults)


def _intervals(
    category: Category,
    request: ProbeRequest,
    flags: Mapping[str, Any],
    lost: Counter[str],
    faults: Counter[Fault],
) -> Generator[tuple[float, list[Row]]]:
    """Yield each interval's end, in seconds from the start, and its rows; add up losses, faults."""
    caught = prepare(
        verbose=flags["verbose"],
        until_eof=flags["until_eof"],
        log_format=flags["log_format"] or "text",
    )
    every = request.interval if flags["record"] else _DRAIN_EVERY
    running = engine(category, request)
    running.start()
    with closing(running):
        log.debug("%s: probe running", category.table)
        began = time.monotonic()
        due = began + every
        end = began + (flags["duration"] or float("inf"))
        while caught.empty() and time.monotonic() < end:
            running.poll(_TICK)
            if time.monotonic() >= due:
                yield _drained(running, began, lost, faults)
                due += every
        yield _drained(running, began, lost, faults)


def _drained(
    running: Engine, began: float, lost: Counter[str], faults: Counter[Fault]
) -> tuple[float, list[Row]]:
    drained = running.drain()
    lost.update(asdict(drained.loss))
    faults.update(drained.faults)
    return time.monotonic() - began, drained.rows


def _print(category: Category, intervals: Iterable[list[Row]]) -> None:
    """Print events immediately, and sums at the end."""
    assert category.probe
    if category.probe.collect.kind != "events" and adds_up(category):
        merged = Merged(category)
        for rows in intervals:
            merged.add(rows)
        intervals = [merged.rows()]
    for rows in intervals:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))


def _warn(category: Category, lost: Mapping[str, int]) -> None:
    """Print the losses, in the form of bcc's tools."""
    for name, (what, flag) in _LOSSES.items():
        if lost[name]:
            fix = f"; a larger {flag} holds more" if flag else ""
            click.echo(f"WARNING {category.table}: lost {lost[name]} {what}{fix}", err=True)


def _warn_of_binaries(category: Category, faults: Mapping[Fault, int]) -> None:
    """Print the binaries in which most stacks broke, then those of frames without a name."""
    worst = sorted(faults.items(), key=lambda each: (each[0][1] == NAMELESS, -each[1]))
    for (binary, reason), count in worst[:_MOST_BINARIES]:
        is_nameless = reason == NAMELESS
        things = ("frame" if is_nameless else "stack") + "s" * (count != 1)
        file = printable(binary)
        told = f"of {file} without a name" if is_nameless else f"broke in {file}: {reason}"
        click.echo(f"WARNING {category.table}: {count} {things} {told}", err=True)
