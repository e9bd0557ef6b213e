"""`kscope backup`, `kscope restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kscope.cli.database import sqlite_path, with_settings
from kscope.errors import KscopeError
from kscope.store import backup as copying

if TYPE_CHECKING:
    from kscope.config import Settings

_DUMP = (
    "MySQL and MariaDB have their own tool, which does not block ingest:"
    " mariadb-dump --single-transaction --databases {0} > {0}.sql"
)
_LOAD = "MySQL and MariaDB have their own tool, with the server stopped: mariadb < {0}.sql"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@with_settings
def backup(*, settings: Settings, file: Path) -> None:
    """Copy the SQLite database of a running server, as it is at this moment, to FILE."""
    source = sqlite_path(settings, _DUMP)
    copying.backup(source, file, _print_progress)
    click.echo(f"{source} -> {file}, {file.stat().st_size} bytes")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@with_settings
@click.option("--force", is_flag=True, help="Replace a database that exists.")
def restore(*, settings: Settings, file: Path, force: bool) -> None:
    """Put a backup in the place of the SQLite database. No server may run on it."""
    target = sqlite_path(settings, _LOAD)
    if target.exists() and not force:
        raise KscopeError(f"{target} exists: --force replaces it, and what is only there is lost")
    copying.restore(file, target, _print_progress)
    click.echo(f"{file} -> {target}, {target.stat().st_size} bytes")


def _print_progress(left: int, pages: int) -> None:
    if left and pages:
        click.echo(f"{100 * (pages - left) // pages} %", err=True)
