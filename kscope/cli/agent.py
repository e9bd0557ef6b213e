"""`kscope agent`: run probes and send their rows."""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kscope.agent.run.configure import probe_category
from kscope.cli import completed, oneshot, options, otherflags
from kscope.cli.categories import warn
from kscope.cli.probeflags import (
    check_limits,
    check_together,
    limits,
    of_option,
    sending,
    targets,
    with_aliases,
)
from kscope.cli.probeplans import configured, named, request_for, settings_for, signature, united
from kscope.cli.running import Signals, prepare, run
from kscope.config import chosen_settings
from kscope.declare.files.catalog import CatalogReading, read_catalog
from kscope.declare.model import Catalog, Category
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class ProbeGroup(click.Group):
    """A command for each category with a probe; the category's options are its flags.

    That of a union runs the probes of its members.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return tables(_reading(ctx).catalog)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        reading = _reading(ctx)
        if reading.catalog.get(cmd_name) is None:
            # Its file can be one of the bad ones.
            warn(reading.problems)
        return command_of(reading.catalog, cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list["CompletionItem"]:
        catalog = _reading(ctx).catalog
        does = {each.table: each.prettyname for each in catalog if each.table in tables(catalog)}
        return completed(self, ctx, incomplete, does)


def _reading(ctx: click.Context) -> CatalogReading:
    """Return the categories as they are read once for all commands of a help page."""
    config = ctx.params.get("config")
    name = f"{__name__} {config}"
    if name not in ctx.meta:
        ctx.meta[name] = read_catalog(chosen_settings(config).categories)
    found: CatalogReading = ctx.meta[name]
    return found


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
    caught = _prepared(config, flags)
    run(
        lambda before: configured(config, flags, before),
        caught,
        signature=lambda: signature(config),
    )


def tables(catalog: Catalog) -> list[str]:
    """Return the names of those that have a command."""
    return sorted(each.table for each in catalog if each.probe or each.union)


def command_of(catalog: Catalog, table: str) -> click.Command:
    """Return the command of a probe or of a union. Raises UsageError if there is none."""
    category = catalog.get(table)
    if category is not None and category.union:
        return union_command(category)
    return probe_command(probe_category(catalog, table))


def probe_command(category: Category) -> click.Command:
    assert category.probe
    aliases = category.probe.aliases
    return click.Command(
        category.table,
        callback=partial(_run_probe, category),
        params=[
            *(of_option(option, aliases) for option in category.probe.options),
            *otherflags.valued(aliases),
            *(with_aliases(each, aliases) for each in (*targets(), *sending())),
            otherflags.times(category),
        ],
        help=f"{category.prettyname}: {category.description}",
    )


def union_command(category: Category) -> click.Command:
    return click.Command(
        category.table,
        callback=partial(_run_members, category),
        params=[*limits(), *sending()],
        help=f"{category.prettyname}: {category.description}",
    )


def _run_members(category: Category, /, **flags: Any) -> None:
    config = _outer(flags)
    check_limits(flags)
    caught = _prepared(config, flags)
    run(lambda before: united(category.table, config, flags, before), caught, flags["duration"])


def _prepared(config: Path | None, flags: Mapping[str, Any]) -> Signals:
    """Set up the log; where a faulty configuration is used, its problems are shown."""
    log_format = flags["log_format"]
    with suppress(KscopeError):
        log_format = log_format or chosen_settings(config).log_format
    return prepare(
        verbose=flags["verbose"], until_eof=flags["until_eof"], log_format=log_format or "text"
    )


def _outer(flags: dict[str, Any]) -> Path | None:
    """Add the flags of `kscope agent` itself, and return its configuration's file."""
    context = click.get_current_context()
    outer = context.obj or {}
    flags |= {flag: value for flag, value in outer.items() if value and not flags.get(flag)}
    return context.parent.params.get("config") if context.parent else None


def _run_probe(category: Category, /, **flags: Any) -> None:
    context = click.get_current_context()
    config = _outer(flags)
    otherflags.resolve(category, flags, context)
    check_together(category, flags)
    if flags["folded"] or flags["as_json"] or flags["record"]:
        oneshot.trace(category, request_for(category, settings_for(config, flags), flags), flags)
    else:
        caught = _prepared(config, flags)
        run(lambda before: named(category.table, config, flags, before), caught, flags["duration"])
