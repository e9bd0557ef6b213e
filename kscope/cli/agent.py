"""`kscope agent`: run probes and send what they see."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kscope.agent.folded import folded_lines
from kscope.agent.plan import Wishes, engine, probe_category
from kscope.agent.recording import Recorder
from kscope.cli.probeflags import of_option, sending, targets
from kscope.cli.probeplans import (
    catalog_of,
    configured,
    named,
    settings_of,
    signature,
    wishes_for,
)
from kscope.cli.running import catch_signals, run, set_up_logging

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable, Mapping

    from kscope.agent.engines.base import Engine
    from kscope.declare.model import Category

log = logging.getLogger(__name__)


class ProbeGroup(click.Group):
    """A command for each category with a probe, its flags made from the category's options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        catalog = catalog_of(settings_of(ctx.params.get("config")))
        return sorted(c.table for c in catalog if c.probe)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        catalog = catalog_of(settings_of(ctx.params.get("config")))
        return probe_command(probe_category(catalog, cmd_name))


@click.group(cls=ProbeGroup, invoke_without_command=True)
@click.option(
    "--config", type=click.Path(path_type=Path, exists=True), help="[./kernelscope.yaml if there]"
)
@sending
@click.pass_context
def agent(ctx: click.Context, /, config: Path | None, **flags: Any) -> None:
    """Run a probe, or without a name those of the configuration, and send what they see.

    Those are the ones it lists, and each one in a folder of categories of your own: a file that is
    dropped there runs at once. SIGTERM drains, sends and ends; SIGHUP reads everything again.
    """
    if ctx.invoked_subcommand:
        ctx.obj = flags
        return
    set_up_logging(verbose=flags["verbose"])
    run(
        lambda: configured(config, flags),
        catch_signals(until_eof=flags["until_eof"]),
        signature=lambda: signature(config),
    )


def probe_command(category: Category) -> click.Command:
    def run_it(**flags: Any) -> None:
        _run_probe(category.table, flags)

    command = sending(run_it)
    assert category.probe
    params = [of_option(option) for option in category.probe.options]
    return click.Command(
        category.table,
        callback=run_it,
        params=[*params, *targets(), *reversed(getattr(command, "__click_params__", []))],
        help=f"{category.prettyname}: {category.description}",
    )


def _run_probe(name: str, flags: dict[str, Any]) -> None:
    context = click.get_current_context()
    outer = context.obj or {}
    flags |= {flag: value for flag, value in outer.items() if value and not flags.get(flag)}
    config = context.parent.params.get("config") if context.parent else None
    if flags["folded"] or flags["as_json"] or flags["record"]:
        settings = settings_of(config)
        category = probe_category(catalog_of(settings), name)
        _print_rows(category, wishes_for(category, settings, flags), flags)
    else:
        set_up_logging(verbose=flags["verbose"])
        caught = catch_signals(until_eof=flags["until_eof"])
        run(lambda: named(name, config, flags), caught, flags["duration"])


def _print_rows(category: Category, wishes: Wishes, flags: Mapping[str, Any]) -> None:
    """Without a server: trace for --duration seconds, or until Ctrl-C, and print."""
    set_up_logging(verbose=flags["verbose"])
    caught = catch_signals(until_eof=flags["until_eof"])
    running = engine(category, wishes)
    running.start()
    log.debug("%s: probe running", category.table)
    end = time.monotonic() + (flags["duration"] or float("inf"))
    try:
        if flags["record"]:
            _record(running, category, wishes, flags["record"], lambda: _ended(caught, end))
            return
        while not _ended(caught, end):
            running.poll(0.1)
        rows = running.drain().rows
    finally:
        running.close()
    if flags["as_json"]:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    else:
        for line in folded_lines(category, rows):
            click.echo(line)


def _ended(caught: queue.SimpleQueue[int], end: float) -> bool:
    return not caught.empty() or time.monotonic() >= end


def _record(
    running: Engine, category: Category, wishes: Wishes, path: Path, ended: Callable[[], bool]
) -> None:
    recorder = Recorder(path, category, wishes.hostname, wishes.interval)
    began = time.monotonic()
    due = began + wishes.interval
    while not ended():
        running.poll(0.1)
        if time.monotonic() >= due:
            recorder.add(due - began, running.drain().rows)
            due += wishes.interval
    recorder.close()
