"""`kscope agent NAME --folded`, `--json`, `--record`: run a probe without a server."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields

import click

from kscope.agent.engines.base import Engine
from kscope.agent.rows.convert import Merged, adds_up
from kscope.agent.rows.folded_output import Folded
from kscope.agent.rows.interval import Drained, LossCounts, Row
from kscope.agent.rows.recording import Recorder
from kscope.declare.model import Category

# Maps are sized for an interval; a long trace must not fill them.
_DRAIN_EVERY = 1.0
_TICK = 0.1

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


def print_rows(
    engine: Engine, category: Category, *, as_json: bool, ended: Callable[[], bool]
) -> None:
    """Print events immediately and sums at the end, as JSON; or folded stacks at the end."""
    assert category.probe
    streamed = category.probe.collect.kind == "events" or not adds_up(category)
    folded = None if as_json else Folded(category)
    merged = Merged(category)
    lost = LossCounts()
    for drained, _ in _drains(engine, _DRAIN_EVERY, ended):
        _add(lost, drained.loss)
        if folded:
            folded.add(drained.rows)
        elif streamed:
            _print_json(drained.rows)
        else:
            merged.add(drained.rows)
    _print_json(merged.rows())
    for line in folded.lines() if folded else ():
        click.echo(line)
    _warn(category, lost)


def record(
    engine: Engine,
    category: Category,
    recorder: Recorder,
    interval: float,
    ended: Callable[[], bool],
) -> None:
    """Write the intervals to the recorder; the last one can be shorter."""
    lost = LossCounts()
    for drained, at in _drains(engine, interval, ended):
        _add(lost, drained.loss)
        recorder.add(at, drained.rows)
    _warn(category, lost)


def _drains(
    engine: Engine, every: float, ended: Callable[[], bool]
) -> Iterator[tuple[Drained, float]]:
    """Yield each interval, and the seconds from the start to its end."""
    began = time.monotonic()
    due = began + every
    while not ended():
        engine.poll(_TICK)
        if time.monotonic() >= due:
            yield engine.drain(), time.monotonic() - began
            due += every
    yield engine.drain(), time.monotonic() - began


def _print_json(rows: Sequence[Row]) -> None:
    for row in rows:
        click.echo(json.dumps(row, ensure_ascii=False))


def _add(total: LossCounts, loss: LossCounts) -> None:
    for field in fields(LossCounts):
        setattr(total, field.name, getattr(total, field.name) + getattr(loss, field.name))


def _warn(category: Category, lost: LossCounts) -> None:
    """Print the losses, in the form of bcc's tools."""
    for name, (what, flag) in _LOSSES.items():
        count = getattr(lost, name)
        if count:
            fix = f"; a larger {flag} holds more" if flag else ""
            click.echo(f"WARNING {category.table}: lost {count} {what}{fix}", err=True)
