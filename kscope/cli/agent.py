"""`kscope agent`: run probes and send their rows."""

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from kscope.agent.rows.folded_output import Folded
from kscope.agent.rows.recording import Recorder
from kscope.agent.run.configure import ProbeRequest, engine, probe_category
from kscope.cli import oneshot, options, otherflags
from kscope.cli.categories import warn
from kscope.cli.probeflags import check_together, of_option, sending, targets, with_aliases
from kscope.cli.probeplans import (
    configured,
    named,
    request_for,
    settings_of,
    signature,
)
from kscope.cli.running import catch_signals, run, set_up_logging
from kscope.declare.files.catalog import read_catalog
from kscope.declare.model import Category

log = logging.getLogger(__name__)


class ProbeGroup(click.Group):
    """A command for each category with a probe; the category's options are its flags."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        reading = read_catalog(settings_of(ctx.params.get("config")).categories)
        return sorted(c.table for c in reading.catalog if c.probe)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        reading = read_catalog(settings_of(ctx.params.get("config")).categories)
        if reading.catalog.get(cmd_name) is None:
            # Its file can be one of the bad ones.
            warn(reading.problems)
        return probe_command(probe_category(reading.catalog, cmd_name))


@click.group(cls=ProbeGroup, invoke_without_command=True, params=sending())
@options.config
@click.pass_context
def agent(ctx: click.Context, /, config: Path | None, **flags: Any) -> None:
    """Run a probe, or those of the configuration, and send their rows to a server.

    Without a name, the agent runs the probes that the configuration lists and every probe in your
    own category folders; a file that you add there starts immediately. SIGTERM drains the probes,
    sends their rows and stops. SIGHUP reads the configuration and the categories again.
    """
    if ctx.invoked_subcommand:
        ctx.obj = flags
        return
    set_up_logging(verbose=flags["verbose"])
    run(
        lambda before: configured(config, flags, before),
        catch_signals(until_eof=flags["until_eof"]),
        signature=lambda: signature(config),
    )


def probe_command(category: Category) -> click.Command:
    def run_it(**flags: Any) -> None:
        _run_probe(category, flags)

    assert category.probe
    aliases = category.probe.aliases
    return click.Command(
        category.table,
        callback=run_it,
        params=[
            *(of_option(option, aliases) for option in category.probe.options),
            *otherflags.valued(aliases),
            *(with_aliases(each, aliases) for each in (*targets(), *sending())),
            otherflags.times(category),
        ],
        help=f"{category.prettyname}: {category.description}",
    )


def _run_probe(category: Category, flags: dict[str, Any]) -> None:
    context = click.get_current_context()
    outer = context.obj or {}
    flags |= {flag: value for flag, value in outer.items() if value and not flags.get(flag)}
    config = context.parent.params.get("config") if context.parent else None
    otherflags.resolve(category, flags, context)
    check_together(category, flags)
    if flags["folded"] or flags["as_json"] or flags["record"]:
        _one_shot(category, request_for(category, settings_of(config), flags), flags)
    else:
        set_up_logging(verbose=flags["verbose"])
        caught = catch_signals(until_eof=flags["until_eof"])
        run(lambda before: named(category.table, config, flags, before), caught, flags["duration"])


def _one_shot(category: Category, request: ProbeRequest, flags: Mapping[str, Any]) -> None:
    """Trace without a server, for --duration seconds or until Ctrl-C."""
    set_up_logging(verbose=flags["verbose"])
    if flags["folded"]:
        Folded(category)  # raises if the category does not have stacks
    with ExitStack() as stack:
        recorder = None
        if path := flags["record"]:
            recorder = Recorder(path, category, request.hostname, request.interval)
            stack.callback(recorder.close)
        caught = catch_signals(until_eof=flags["until_eof"])
        running = engine(category, request)
        running.start()
        stack.callback(running.close)
        log.debug("%s: probe running", category.table)
        end = time.monotonic() + (flags["duration"] or float("inf"))

        def ended() -> bool:
            return not caught.empty() or time.monotonic() >= end

        if recorder:
            oneshot.record(running, category, recorder, request.interval, ended)
        else:
            oneshot.print_rows(running, category, as_json=flags["as_json"], ended=ended)
