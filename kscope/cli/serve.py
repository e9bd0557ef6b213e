"""`kscope serve`."""

import asyncio
from dataclasses import replace
from functools import partial

import click

from kscope.cli import logs, options
from kscope.cli.categories import check_probes_of
from kscope.cli.database import with_settings
from kscope.config import (
    MOST_WORKERS,
    Address,
    Settings,
    SQLite,
    checked_prefix,
    parse_address,
)
from kscope.declare.files.catalog import read_catalog
from kscope.errors import UsageError, ValueFaultError
from kscope.server.app import check_exposure
from kscope.server.app import serve as run_server
from kscope.server.http.tls import Certificates
from kscope.server.service_manager import State, notify
from kscope.server.workers.parent import serve as run_workers

# After the interpreter. Without -P a folder `kscope` of the working folder would be imported.
_WORKER = ("-P", "-m", "kscope.cli.worker")


@click.command()
@click.argument("port", required=False, type=click.IntRange(0, 65534))
@with_settings
@click.option(
    "--read", metavar="ADDRESS", help="Address of the page and of queries. [127.0.0.1:8080]"
)
@click.option("--ingest", metavar="ADDRESS", help="Address that receives rows. [127.0.0.1:8081]")
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    help="Processes that share both addresses, for more than one core; above 1 with a database"
    " server, not with SQLite. [1]",
)
@click.option(
    "--base-path", metavar="PATH", help="Path of both addresses behind a proxy: /kernelscope."
)
@click.option("--insecure", is_flag=True, help="Allow requests from other hosts without tokens.")
@click.option("--verbose", is_flag=True, help="Log more.")
@options.log_format
def serve(  # noqa: PLR0913 - one per option
    *,
    settings: Settings,
    port: int | None,
    read: str | None,
    ingest: str | None,
    workers: int | None,
    base_path: str | None,
    insecure: bool,
    verbose: bool,
    log_format: str | None,
) -> None:
    """Receive rows, and serve the page.

    PORT is the port of the page; the next port receives rows. By default the data is in
    ./kernelscope.db.
    """
    settings = replace(settings, log_format=log_format or settings.log_format)
    logs.set_up_server(verbose=verbose, log_format=settings.log_format)
    if port is not None:
        following = port + 1 if port else 0
        settings = replace(
            settings,
            read=Address(settings.read.host, port),
            ingest=Address(settings.ingest.host, following),
        )
    if read:
        settings = replace(settings, read=_address("--read", read, settings.read))
    if ingest:
        settings = replace(settings, ingest=_address("--ingest", ingest, settings.ingest))
    if workers:
        settings = replace(settings, workers=workers)
    if base_path is not None:
        settings = replace(settings, base_path=_prefix(base_path))
    check_exposure(settings, insecure=insecure)
    if settings.tls:
        Certificates(settings.tls)
    _check_workers(settings)
    check_probes_of(settings, read_catalog(settings.categories))
    announce = partial(_announce, "https" if settings.tls else "http", settings.base_path)
    if settings.workers == 1:
        asyncio.run(run_server(settings, announce))
    else:
        asyncio.run(run_workers(settings, _WORKER, announce, verbose=verbose))


def _check_workers(settings: Settings) -> None:
    if settings.workers > 1 and isinstance(settings.database, SQLite):
        raise UsageError(
            f"workers: {settings.workers} processes cannot store rows in one SQLite file, which has"
            " one writer. Say --workers 1, or name MariaDB, MySQL or ClickHouse as the database:"
            " --mysql HOST or --clickhouse HOST"
        )


def _address(option: str, text: str, default: Address) -> Address:
    try:
        return parse_address(text, default.port)
    except ValueFaultError as error:
        raise UsageError(f"{option}: {error.fault}") from None


def _prefix(text: str) -> str:
    try:
        return checked_prefix(text)
    except ValueFaultError as error:
        raise UsageError(f"--base-path: {error.fault}") from None


def _announce(scheme: str, base_path: str, read: Address, ingest: Address) -> None:
    page, rows = (f"{scheme}://{each}{base_path}/" for each in (read, ingest))
    click.echo(f"page    {page}")
    click.echo(f"ingest  {rows}")
    notify(State.READY, f"page {page}, ingest {rows}")
