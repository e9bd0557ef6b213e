"""`kscope query`: the questions of the read API from a terminal."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from kscope.cli import options
from kscope.cli.options import FILE
from kscope.cli.source import DEFAULT_SERVER, Direct, ServerSource, pair, source_of
from kscope.errors import UsageError
from kscope.query.answers.flamegraph import Flamegraph
from kscope.query.answers.question import JsonAnswer, Question
from kscope.query.answers.timeseries import Timeseries
from kscope.query.export import COMPARISONS, STACKS, TABLES, terminal
from kscope.query.questions import QUESTIONS

_DRAWN = ("flame", "table")
# Each once: a comparison has formats that stacks have.
_FORMATS = dict.fromkeys([*_DRAWN, "json", *TABLES, *STACKS, *COMPARISONS])


@click.command()
@options.table
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "--question", "-q", type=click.Choice([*QUESTIONS]), help="[flamegraph, or rows without stacks]"
)
@click.option(
    "--top",
    metavar="COLUMNS",
    help="Show the largest groups, or the first frames of a flame graph: by=COLUMNS.",
)
@click.option("--from", "start", metavar="TIME", help="Start of the time range. [now-1h]")
@click.option("--to", "end", metavar="TIME", help="End of the time range. [now]")
@click.option(
    "--format",
    "form",
    type=click.Choice([*_FORMATS]),
    help="[flame for a flame graph, or table]",
)
@click.option("--server", metavar="URL", help=f"Address of the page. [{DEFAULT_SERVER}]")
@click.option("--token-file", type=FILE, help="File that contains the token. [$KSCOPE_TOKEN]")
@click.option("--sqlite", type=FILE, help="Query this database file instead of a server.")
@click.option("--config", type=FILE, help="Query the database of this kernelscope.yaml instead.")
@click.option(
    "--width",
    type=click.IntRange(20, 1000),
    help="Width of a flame graph in characters. [that of the terminal]",
)
@click.option("--color/--no-color", default=None, help="Use colors. [in a terminal]")
def query(  # noqa: PLR0913 - one per option
    *,
    table: str,
    parameters: tuple[str, ...],
    question: str | None,
    top: str | None,
    start: str | None,
    end: str | None,
    form: str | None,
    server: str | None,
    token_file: Path | None,
    sqlite: Path | None,
    config: Path | None,
    width: int | None,
    color: bool | None,
) -> None:
    """Query TABLE; filters and other parameters are NAME=VALUE.

    \b
    kscope query offcputime --from now-1h --top process
    kscope query offcputime process=mysqld elapsed__gte=5ms --format folded
    kscope query offcputime -q compare hostname=web-2 base.hostname=web-1
    """
    source = source_of(server, token_file, sqlite, config)
    request = [pair(each) for each in parameters]
    request += [(name, text) for name, text in (("from", start), ("to", end)) if text]
    if top:
        request.append(("by", top))
    chosen = QUESTIONS[question or _usual(source, table, top, form)]
    form = form or ("flame" if chosen.answer is Flamegraph else "table")
    _check(chosen, form, request)
    if form not in _DRAWN:
        source.ask(chosen, table, [*request, ("format", form)], sys.stdout.buffer.write)
        return
    answer = bytearray()
    source.ask(chosen, table, request, answer.extend)
    decoded: Any = msgspec.json.decode(bytes(answer), type=chosen.answer)
    for notice in getattr(decoded, "notices", ()):
        click.echo(f"{notice.level}: {terminal.printable(notice.text)}", err=True)
    sys.stdout.buffer.write(_drawn(decoded, form, width, color).encode())


def _usual(source: ServerSource | Direct, table: str, top: str | None, form: str | None) -> str:
    """The question that the options suggest; a stack's format is of a flame graph."""
    if form in STACKS or form == "flame":
        return "flamegraph"
    if top:
        return "top"
    return "flamegraph" if form not in TABLES and source.has_stacks(table) else "rows"


def _drawn(answer: JsonAnswer, form: str, width: int | None, color: bool | None) -> str:  # noqa: FBT001
    if isinstance(answer, Timeseries):
        return terminal.table(*terminal.timeseries(answer))
    if not isinstance(answer, Flamegraph):
        table = answer.as_table()
        return terminal.table(table.names, table.shown)
    if form == "table":
        return terminal.table(*terminal.frames(answer))
    size = width or shutil.get_terminal_size((100, 24)).columns
    return terminal.flame(answer, size, colour=sys.stdout.isatty() if color is None else color)


def _check(question: Question, form: str, request: Sequence[tuple[str, str]]) -> None:
    for name in question.in_path:
        if name not in dict(request):
            raise UsageError(f"{question.name} needs {name}=..., such as {name}=hostname")
    formats = next(each.choices for each in question.parameters if each.name == "format")
    allowed = (*(_DRAWN if question.answer is Flamegraph else _DRAWN[1:]), *formats)
    if form not in allowed:
        raise UsageError(f"--format {form}: {question.name} has {', '.join(allowed)}")
