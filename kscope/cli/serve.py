"""`kscope serve`."""

import asyncio
import logging
from dataclasses import replace

import click

from kscope.cli import logs
from kscope.cli.categories import check_probes_of
from kscope.cli.database import with_settings
from kscope.config import Address, Settings, parse_address
from kscope.declare.files.catalog import read_catalog
from kscope.errors import UsageError, ValueFaultError
from kscope.server.app import check_exposure
from kscope.server.app import serve as run_server


@click.command()
@click.argument("port", required=False, type=click.IntRange(0, 65534))
@with_settings
@click.option(
    "--read", metavar="ADDRESS", help="Address of the page and of queries. [127.0.0.1:8080]"
)
@click.option("--ingest", metavar="ADDRESS", help="Address that receives rows. [127.0.0.1:8081]")
@click.option("--insecure", is_flag=True, help="Allow requests from other hosts without tokens.")
@click.option("--verbose", is_flag=True, help="Log more.")
def serve(  # noqa: PLR0913 - one per option
    *,
    settings: Settings,
    port: int | None,
    read: str | None,
    ingest: str | None,
    insecure: bool,
    verbose: bool,
) -> None:
    """Receive rows, and serve the page.

    PORT is the port of the page; the next port receives rows. By default the data is in
    ./kernelscope.db.
    """
    _log(verbose=verbose)
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
    check_exposure(settings, insecure=insecure)
    check_probes_of(settings, read_catalog(settings.categories))
    asyncio.run(run_server(settings, _announce))


def _address(option: str, text: str, default: Address) -> Address:
    try:
        return parse_address(text, default.port)
    except ValueFaultError as error:
        raise UsageError(f"{option}: {error.fault}") from None


def _announce(read: Address, ingest: Address) -> None:
    click.echo(f"page    http://{read}/")
    click.echo(f"ingest  http://{ingest}/")


def _log(*, verbose: bool) -> None:
    logs.set_up("%(asctime)s %(levelname)s %(name)s: %(message)s", verbose=verbose)
    for name in ("databases", "aiosqlite", "asyncmy", "asyncio", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
