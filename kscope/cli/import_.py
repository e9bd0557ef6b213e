"""`kscope import`: send recordings that other programs made."""

import re
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from kscope.cli import options
from kscope.cli.progress import Progress
from kscope.cli.rows_for import fixed_values, stored_category
from kscope.client.encoding import timestamp
from kscope.client.endpoint import Endpoint, read_token
from kscope.config import chosen_settings
from kscope.declare.model import Category
from kscope.errors import KscopeError
from kscope.readers.formats import FORMATS
from kscope.readers.importer import Importer
from kscope.readers.reading.base import Options
from kscope.readers.recording import STDIN, Recording, content_of, opened

_UNITS = ("ns", "us", "ms", "s", "bytes", "count")
_MOST_HZ = 1_000_000


def _factor(_: click.Context, __: click.Parameter, text: str) -> Fraction:
    """Read a positive number exactly."""
    if not re.fullmatch(r"\d{1,15}(\.\d{1,15})?", text, re.ASCII) or not Fraction(text):
        raise click.BadParameter(f"'{text}' is not a positive number such as 1000 or 0.001")
    return Fraction(text)


def _formats_told() -> str:
    """Return the table of formats, as the help shows it."""
    width = max(map(len, FORMATS))
    lines = [f"{name:{width}}  {each.help}" for name, each in FORMATS.items()]
    examples = [each.example for each in FORMATS.values()]
    return "\b\nFormats:\n" + "\n".join(lines) + "\n\n\b\n" + "\n".join(examples)


@click.command(name="import", epilog=_formats_told())
@click.argument("table")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--format", "form", type=click.Choice([*FORMATS]), help="[found by the content]")
@options.config
@options.server
@options.token_file
@click.option("--hostname", help="Host that the rows belong to. [a row's own, or this host]")
@click.option(
    "--time",
    "moment",
    default="",
    metavar="TIME",
    help="Start of the recording, for rows without a time. [so that it ends at the file's time]",
)
@click.option("--value", default="", help="Column for the numbers of the stacks. [the chart's]")
@click.option("--root", help="Column for the first frame; '' keeps it in the stack. [the chart's]")
@click.option("--event", default="", help="Event or sample type to read. [the first]")
@click.option(
    "--frequency",
    type=click.FloatRange(0, _MOST_HZ, min_open=True),
    metavar="HZ",
    help="Samples a second, for their time. [the recording's own]",
)
@click.option(
    "--unit",
    type=click.Choice(_UNITS),
    metavar="UNIT",
    help=f"Unit of the numbers: {', '.join(_UNITS)}. [the column's]",
)
@click.option("--scale", callback=_factor, default="1", help="Factor of the numbers. [1]")
@click.option(
    "--keys",
    default="",
    metavar="COLUMN,...",
    help="Columns for the keys of a map, - for none. [found by their kinds]",
)
@click.option(
    "--printed",
    type=click.Choice(("totals", "increases")),
    default=None,
    callback=lambda _, __, word: word or "",
    help="Meaning of a map that is printed several times. [found by its values]",
)
@click.option(
    "--set",
    "fixed",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Value of a column in every row; can be repeated.",
)
@options.categories
def import_(  # noqa: PLR0913 - one per option
    *,
    table: str,
    files: tuple[str, ...],
    form: str | None,
    config: Path | None,
    server: str | None,
    token_file: Path | None,
    hostname: str | None,
    moment: str,
    fixed: tuple[str, ...],
    categories: tuple[Path, ...],
    **chosen: Any,
) -> None:
    """Send recordings of other tools as rows of TABLE.

    The content of a file decides its format; it can be compressed (gzip, zstd, bzip2). - reads
    standard input. If you send a recording again, the server stores its rows once.
    """
    settings = chosen_settings(config)
    category = stored_category(table, [*settings.categories, *categories])
    token = read_token(token_file or settings.agent.token_file)
    endpoint = Endpoint(server or settings.agent.server, token)
    constant = fixed_values(category, fixed)
    given = _moment(moment)
    for file in files:
        with content_of(file) as content:
            recording = opened(file, content, category, Options(**chosen), form or "")
            began = _began(recording) if given is None else given
            importer = Importer(endpoint, recording, hostname, constant, began, moment)
            _send(importer, Progress(file, recording.size))


def _send(importer: Importer, progress: Progress) -> None:
    file = importer.recording.file
    for _ in importer.send():
        progress.show(importer)
    progress.end()
    click.echo(f"{file}: {importer.rows} rows sent, {importer.known} of them stored before")
    for sentence in importer.reading.told():
        click.echo(f"{file}: {sentence}", err=True)
    _warn_of_age(importer.recording.category, file, importer.oldest)


def _moment(given: str) -> float | None:
    """Return the start that the user names, in seconds since the epoch. Raises UsageError."""
    if not given:
        return None
    from kscope.query.parse.timerange import SECOND, now, parse_moment  # noqa: PLC0415 - rare

    return parse_moment("--time", given, now()) / SECOND


def _began(recording: Recording) -> float:
    """Return the start in seconds since the epoch: a recording ends when its file is written."""
    try:
        ended = time.time() if recording.file == STDIN else Path(recording.file).stat().st_mtime
    except OSError as error:
        raise KscopeError(f"{recording.file}: cannot be read: {error.strerror}") from None
    return ended - recording.survey.length


def _warn_of_age(category: Category, file: str, oldest: float) -> None:
    kept = category.retention
    if kept is not None and oldest < time.time() - kept:
        click.echo(
            f"{file}: warning: rows go back to {timestamp(oldest)}; {category.table} keeps rows for"
            f" {kept // 86400} days, older ones are removed soon. --time says when it began",
            err=True,
        )
