"""Options and help that commands share which read what other programs write."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from fractions import Fraction
from typing import Any

import click

from kscope.readers.reading.base import Format

_UNITS = ("ns", "us", "ms", "s", "bytes", "count")
_MOST_HZ = 1_000_000
_Command = Callable[..., Any]


def _factor(_: click.Context, __: click.Parameter, text: str) -> Fraction:
    """Read a positive number exactly."""
    if not re.fullmatch(r"\d{1,15}(\.\d{1,15})?", text, re.ASCII) or not Fraction(text):
        raise click.BadParameter(f"'{text}' is not a positive number such as 1000 or 0.001")
    return Fraction(text)


def _rate(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Read a number of samples a second."""
    if text is None:
        return None
    with suppress(ValueError):
        if 0 < (rate := float(text)) <= _MOST_HZ:
            return rate
    raise click.BadParameter(f"'{text}' is not a number above 0 and up to {_MOST_HZ}, such as 99")


_NUMBERS = (
    click.option("--value", default="", help="Column for the numbers of the stacks. [the chart's]"),
    click.option(
        "--root", help="Column for the first frame; '' keeps it in the stack. [the chart's]"
    ),
    click.option(
        "--event", default="", help="Event, map or sample type to read. [the first that fits]"
    ),
    click.option(
        "--frequency",
        callback=_rate,
        metavar="HZ",
        help="Samples a second, for their time. [the recording's own]",
    ),
    click.option(
        "--unit",
        type=click.Choice(_UNITS),
        metavar="UNIT",
        help=f"Unit of the numbers: {', '.join(_UNITS)}. [the column's]",
    ),
    click.option("--scale", callback=_factor, default="1", help="Factor of the numbers. [1]"),
    click.option(
        "--keys",
        default="",
        metavar="COLUMN,...",
        help="Columns for the keys of a map, - for none. [found by their kinds]",
    ),
    click.option(
        "--printed",
        type=click.Choice(("totals", "increases")),
        default=None,
        callback=lambda _, __, word: word or "",
        help="Meaning of a map that is printed several times. [found by its values]",
    ),
)
hostname = click.option(
    "--hostname", help="Host that the rows belong to. [a row's own, or this host]"
)
fixed = click.option(
    "--set",
    "columns",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Value of a column in every row; can be repeated.",
)


def of_numbers(command: _Command) -> _Command:
    """Add the options that say which columns take stacks and numbers, and what those mean."""
    for option in reversed(_NUMBERS):
        command = option(command)
    return command


def table_of(formats: Mapping[str, Format], *, live: bool = False) -> str:
    """Return the table of formats, as a help text shows it; the examples of `live` ones read a
    pipe.
    """
    width = max(map(len, formats))
    lines = [f"{name:{width}}  {each.help}" for name, each in formats.items()]
    examples = [_live_example(each) if live else each.example for each in formats.values()]
    return "\b\nFormats:\n" + "\n".join(lines) + "\n\n\b\n" + "\n".join(examples)


def _live_example(form: Format) -> str:
    return re.sub(r" -(?= |$)", "", form.example.replace("| kscope import", "| kscope log"))
