"""`kscope import`: send recordings that other programs made."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from kscope.cli import options, readeroptions
from kscope.cli.progress import Progress
from kscope.cli.rows_for import fixed_values, stored_category
from kscope.cli.trust import trust_of
from kscope.client.encoding import timestamp
from kscope.client.endpoint import Endpoint, read_token
from kscope.config import chosen_settings
from kscope.errors import KscopeError, UsageError, without_secrets
from kscope.readers.formats import FORMATS
from kscope.readers.importer import Importer
from kscope.readers.reading.base import Options
from kscope.readers.recording import STDIN, Recording, content_of, opened

# Files that failed, in one message.
_MOST_NAMED = 20


@click.command(name="import", epilog=readeroptions.table_of(FORMATS))
@options.table
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    shell_complete=lambda _ctx, _param, incomplete: options.files_of(incomplete),
)
@click.option("--format", "form", type=click.Choice([*FORMATS]), help="[found by the content]")
@options.config
@options.server
@options.token_file
@readeroptions.hostname
@click.option(
    "--time",
    "moment",
    default="",
    metavar="TIME",
    help="Start of the recording, for rows without a time. [so that it ends at the file's time]",
)
@readeroptions.of_numbers
@readeroptions.fixed
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
    columns: tuple[str, ...],
    categories: tuple[Path, ...],
    **chosen: Any,
) -> None:
    """Send recordings of other tools as rows of TABLE.

    The content of a file decides its format; it can be compressed (gzip, zstd, bzip2). - reads
    standard input. If you send a recording again, the server stores its rows once. A file that
    cannot be read does not keep the next ones back; the exit code is then 1.
    """
    if files.count(STDIN) > 1:
        raise UsageError("- is named more than once: standard input can be read once")
    settings = chosen_settings(config)
    category = stored_category(table, [*settings.categories, *categories])
    token = read_token(token_file or settings.agent.token_file)
    endpoint = Endpoint(server or settings.agent.server, token, trust=trust_of(settings.agent))
    constant = fixed_values(category, columns)
    given = _moment(moment)
    if STDIN in files and sys.stdin is not None and sys.stdin.isatty():
        click.echo("a recording is read from the terminal; Ctrl-D ends it", err=True)
    # An absolute start has one text, however it is written.
    said = moment if given is None or moment.startswith("now") else repr(given)

    def send(file: str) -> None:
        progress = Progress(file)
        try:
            with content_of(file, progress.read) as content:
                recording = opened(file, content, category, Options(**chosen), form or "")
                began = _began(recording) if given is None else given
                importer = Importer(endpoint, recording, hostname, constant, began, said)
                progress.importer = importer
                importer.send()
        finally:
            progress.end()
        _tell(importer)

    _each(files, send)


def _each(files: Sequence[str], send: Callable[[str], None]) -> None:
    """Send each file. Raises the error of a single one; of several, those that failed."""
    if len(files) == 1:
        send(files[0])
        return
    failed = []
    for file in files:
        try:
            send(file)
        except KscopeError as error:
            text = without_secrets(str(error))
            click.echo(text if text.startswith(f"{file}:") else f"{file}: {text}", err=True)
            failed.append(file)
    if failed:
        raise KscopeError(
            f"{len(failed)} of {len(files)} files were not imported, or not whole: "
            f"{', '.join(failed[:_MOST_NAMED])}{' ...' if failed[_MOST_NAMED:] else ''}"
        )


def _tell(importer: Importer) -> None:
    file = importer.recording.file
    sent = f"{importer.rows} rows sent, {importer.known} of them stored before"
    click.echo(f"{file}: {sent}{importer.reading.skipped}")
    for sentence in importer.reading.told():
        click.echo(f"{file}: {sentence}", err=True)
    _warn_of_age(importer)


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


def _warn_of_age(importer: Importer) -> None:
    """Say which rows will not stay; servers before 0.2 do not tell their number."""
    category, kept = importer.recording.category, importer.recording.category.retention
    if kept is not None and (importer.old or importer.oldest < time.time() - kept):
        older = f"{importer.old} rows are older and are" if importer.old else "older ones are"
        click.echo(
            f"{importer.recording.file}: warning: rows go back to {timestamp(importer.oldest)};"
            f" {category.table} keeps rows for {kept // 86400} days, {older} removed soon."
            " --time says when it began",
            err=True,
        )
