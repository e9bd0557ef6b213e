"""Flags and arguments of other tools: bcc's letters and times, names of 2016."""

from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

from kscope.cli.options import SECONDS
from kscope.cli.probeflags import dest, flag_text, plain
from kscope.declare.model import Alias, Category
from kscope.declare.types.base import Role

_TIMES = "times"


def valued(aliases: Sequence[Alias]) -> list[click.Option]:
    """Return a flag for each alias that replaces a value of an option."""
    return [_option(alias) for alias in aliases if not plain(alias)]


def times(category: Category) -> click.Argument:
    """Return bcc's arguments: a duration for stacks and events, else an interval and a count."""
    metavar = "[INTERVAL [COUNT]]" if _has_count(category) else "[DURATION]"
    return click.Argument([_TIMES], nargs=-1, metavar=metavar)


def resolve(category: Category, flags: dict[str, Any], context: click.Context) -> None:
    """Set the values of these flags and arguments in `flags`; UsageError if two disagree."""
    assert category.probe
    _resolve_aliases(category, flags, context)
    given = flags.pop(_TIMES)
    counted = _has_count(category)
    if given[2:] and counted:
        raise click.UsageError(f"an interval and a count are expected, not also '{given[2][:40]}'")
    if given[1:] and not counted:
        raise click.UsageError(
            f"only a duration is expected, not also '{given[1][:40]}'; --interval sets the time "
            "between drains"
        )
    if given:
        seconds = SECONDS.convert(given[0], None, context)
        _set(flags, "interval" if counted else "duration", seconds)
    if given[1:]:
        _set(flags, "duration", flags["interval"] * _count(given[1]))


def _resolve_aliases(category: Category, flags: dict[str, Any], context: click.Context) -> None:
    assert category.probe
    stated = {
        option.name: f"--{option.name}"
        for option in category.probe.options
        if context.get_parameter_source(dest(option.name)) is not ParameterSource.DEFAULT
    }
    for alias in category.probe.aliases:
        text = None if plain(alias) else flags.pop(_also(alias))
        if text in (None, False):
            continue
        value = _looked_up(alias, str(text)) if alias.values else alias.value
        name, option = flag_text(alias.flag), dest(alias.option)
        other = stated.setdefault(alias.option, name)
        if other != name and flags[option] != value:
            raise click.UsageError(f"{other} and {name} exclude each other")
        flags[option] = value


def _looked_up(alias: Alias, text: str) -> Any:
    try:
        number = str(int(text, 0))
    except ValueError:
        number = text
    if number not in alias.values:
        known = ", ".join(f"{key} ({value})" for key, value in alias.values.items())
        raise click.UsageError(f"{flag_text(alias.flag)} {text[:40]}: must be one of {known}")
    return alias.values[number]


def _option(alias: Alias) -> click.Option:
    names = [flag_text(alias.flag), _also(alias)]
    if alias.values:
        return click.Option(names, metavar="N", help=f"--{alias.option}, by number")
    return click.Option(names, is_flag=True, help=f"same as --{alias.option} {alias.value}")


def _also(alias: Alias) -> str:
    return "also_" + alias.flag.replace("-", "_")


def _has_count(category: Category) -> bool:
    assert category.probe
    return category.probe.collect.kind != "events" and not category.with_role(Role.STACK)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:10]) < 10**9:
        raise click.UsageError(f"'{text[:40]}' is not a count of intervals, from 1")
    return int(text)


def _set(flags: dict[str, Any], name: str, value: float) -> None:
    if flags[name]:
        raise click.UsageError(f"the argument and --{name} set the same value; remove one")
    flags[name] = value
