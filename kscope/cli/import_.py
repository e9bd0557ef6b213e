"""`kscope import`: send recordings that other programs made."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from kscope.cli import options
from kscope.cli.categories import good_catalog
from kscope.client.encoding import timestamp
from kscope.client.endpoint import Endpoint, read_token
from kscope.config import chosen_settings
from kscope.declare.model import Category, no_rows
from kscope.errors import KscopeError, UsageError, did_you_mean
from kscope.readers.import_file import FORMATS, STDIN, ImportFile, format_of
from kscope.readers.importer import Importer


@click.command(name="import")
@click.argument("table")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--format", "form", type=click.Choice([*FORMATS]), help="[from the file's ending]")
@options.config
@options.server
@options.token_file
@click.option("--hostname", help="Host that the rows belong to. [a row's own, or this host]")
@click.option(
    "--time",
    "moment",
    metavar="TIME",
    help="Start of the recording, for rows without a time. [so that it ends at the file's time]",
)
@click.option("--value", default="", help="Column for the numbers of the stacks. [the chart's]")
@click.option("--root", help="Column for the first frame; '' keeps it in the stack. [the chart's]")
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
    moment: str | None,
    value: str,
    root: str | None,
    fixed: tuple[str, ...],
    categories: tuple[Path, ...],
) -> None:
    """Send recordings as rows of TABLE: folded stacks, perf script output or NDJSON.

    A file can be compressed (.gz); - reads standard input. If you send a file again, the server
    stores its rows once.

    \b
    perf script | kscope import offcputime - --format perf
    """
    settings = chosen_settings(config)
    catalog = good_catalog((*settings.categories, *categories))
    category = catalog.get(table)
    if category is None:
        names = [each.table for each in catalog]
        near = did_you_mean(table, names, listed=False) or "."
        raise UsageError(f"there is no table '{table}'{near} Known are: {', '.join(names)}.")
    if category.union:
        raise UsageError(f"'{table}' {no_rows(category)}")
    token = read_token(token_file or settings.agent.token_file)
    endpoint = Endpoint(server or settings.agent.server, token)
    constant = _fixed(category, fixed)
    for file in files:
        kind = FORMATS[form] if form else format_of(file)
        if not kind.stacks and (value or root is not None):
            raise click.UsageError("--value and --root are for stacks; NDJSON names its columns")
        with ImportFile(file, kind, category, value, root).kept() as recording:
            began = _began(recording, moment)
            importer = Importer(endpoint, recording, hostname, constant, began)
            for rows in importer.send():
                if sys.stderr.isatty():
                    click.echo(f"\r{file}: {rows} rows", nl=False, err=True)
        click.echo(f"{file}: {importer.rows} rows sent, {importer.known} of them stored before")
        _warn_of_age(category, file, importer.oldest)


def _began(recording: ImportFile, given: str | None) -> float:
    """Return the start in seconds since the epoch: a recording ends when its file is written."""
    if given:
        from kscope.query.parse.timerange import SECOND, now, parse_moment  # noqa: PLC0415 - rare

        return parse_moment("--time", given, now()) / SECOND
    try:
        ended = time.time() if recording.file == STDIN else Path(recording.file).stat().st_mtime
    except OSError as error:
        raise KscopeError(f"{recording.file}: cannot be read: {error.strerror}") from None
    return ended - recording.length()


def _warn_of_age(category: Category, file: str, oldest: float) -> None:
    kept = category.retention
    if kept is not None and oldest < time.time() - kept:
        click.echo(
            f"{file}: warning: rows go back to {timestamp(oldest)}; {category.table} keeps rows for"
            f" {kept // 86400} days, older ones are removed soon. --time says when it began",
            err=True,
        )


def _fixed(category: Category, given: Iterable[str]) -> dict[str, Any]:
    fixed: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        column = category.column(name)
        if not equals or column is None:
            names = ", ".join(one.name for one in category.columns)
            raise UsageError(f"--set {each}: must be COLUMN=VALUE, with one of {names}")
        try:
            fixed[name] = column.type.parse(text)
        except ValueError as error:
            raise UsageError(f"--set {each}: {error}") from None
    return fixed
