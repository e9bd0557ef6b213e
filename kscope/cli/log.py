"""`kscope log`: send the rows that another program writes into a pipe, while it runs."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from kscope.agent.agent import spool_folder
from kscope.cli import logs, options, readeroptions
from kscope.cli.ending import Ending
from kscope.cli.livesending import LiveSending
from kscope.cli.rows_for import fixed_values, stored_category
from kscope.cli.trust import trust_of
from kscope.client.endpoint import read_token
from kscope.client.logger import Counts, Logger
from kscope.config import AgentSettings, chosen_settings
from kscope.errors import KscopeError
from kscope.readers.live import LIVE, LiveRows
from kscope.readers.reading.base import Options
from kscope.readers.reading.pipe import Pipe

_STDIN = 0
# Seconds without progress after which the rows that are left stay in the spool.
_PATIENCE = 2.0
# Rows of a request, while they arrive faster than one is sent a second.
_BATCH = 5000


@click.command(epilog=readeroptions.table_of(LIVE, live=True))
@options.table
@click.option("--format", "form", type=click.Choice([*LIVE]), help="[found by the first lines]")
@options.config
@options.server
@options.token_file
@readeroptions.hostname
@click.option(
    "--spool",
    type=options.FILE,
    help="Folder for rows that wait for the server. [the configuration's, or the default of"
    " agents]",
)
@readeroptions.of_numbers
@readeroptions.fixed
@options.categories
def log(  # noqa: PLR0913 - one per option
    *,
    table: str,
    form: str | None,
    config: Path | None,
    server: str | None,
    token_file: Path | None,
    hostname: str | None,
    spool: Path | None,
    columns: tuple[str, ...],
    categories: tuple[Path, ...],
    **chosen: Any,
) -> None:
    """Send rows of TABLE from standard input, each as soon as its line arrives.

    A row has the time at which its line arrived, unless it has its own. Rows are sent every second;
    while the server is away they wait in the spool. Lines that cannot be read are skipped. If rows
    are refused or lost, the exit code is 1.

    Many programs keep lines back while their output is a pipe: put `stdbuf -oL` before their name,
    or PYTHONUNBUFFERED=1 for those in Python. bpftrace does not.
    """
    if sys.stdin is None:
        raise KscopeError(
            "standard input is closed: write rows into it, as in COMMAND | kscope log"
        )
    settings = chosen_settings(config)
    category = stored_category(table, [*settings.categories, *categories])
    fixed = fixed_values(category, columns)
    logs.set_up("%(levelname)s %(message)s", verbose=False)
    ending = Ending()
    logger = _logger(settings.agent, server, token_file, spool)
    sending = LiveSending(category, logger, hostname or "", fixed, ending, _say)
    if kept := logger.counts.kept:
        _say(f"{kept} rows that an earlier command left in the spool are sent, too")
    pipe = Pipe(_STDIN, stopped=lambda: ending.is_over(pipe.last))
    live = LiveRows(pipe, category, Options(**chosen), form or "", sending.skipped.skipped)
    if sys.stdin.isatty():
        _say("rows are read from the terminal, one a line; Ctrl-D ends them")
    with ending.listening():
        try:
            with suppress(KeyboardInterrupt):
                sending.run(live)
        finally:
            problems = _ended(logger)
    sending.tell_rest(live)
    click.echo(_summary(logger.counts, sending))
    if unfit := sending.refused.skipped.count:
        problems.append(f"{unfit} rows do not fit {table}")
    if pipe.failure:
        problems.append(pipe.failure)
    if problems:
        raise KscopeError("; ".join(problems))


def _logger(
    settings: AgentSettings, server: str | None, token_file: Path | None, spool: Path | None
) -> Logger:
    return Logger(
        server or settings.server,
        read_token(token_file or settings.token_file),
        batch=_BATCH,
        spool=spool or settings.spool or spool_folder(),
        spool_bytes=settings.spool_bytes,
        spool_age=settings.spool_age,
        trust=trust_of(settings),
    )


def _ended(logger: Logger) -> list[str]:
    """Send what is left, or leave it in the spool; return a sentence about rows that are lost."""
    try:
        with suppress(KeyboardInterrupt):
            logger.settle(_PATIENCE)
        logger.close(0)
    except KscopeError as error:
        return [str(error)]
    return []


def _summary(counts: Counts, sending: LiveSending) -> str:
    refused = counts.refused + sending.refused.skipped.count
    parts = [f"{counts.stored} rows sent", f"{sending.skipped.skipped.count} lines skipped"]
    parts += [f"{refused} rows refused"] if refused else []
    return ", ".join([*parts, f"{counts.kept} rows in the spool"])


def _say(text: str) -> None:
    """Write a line on standard error; if that is closed, rows are sent all the same."""
    with suppress(OSError, ValueError):
        click.echo(text, err=True)
