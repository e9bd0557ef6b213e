"""`kscope backup`, `kscope restore`."""

from pathlib import Path

import click

from kscope.cli import audit
from kscope.cli.database import sqlite_path, with_settings
from kscope.cli.options import FILE
from kscope.config import ClickHouse, MySQL, Settings
from kscope.errors import KscopeError
from kscope.store.backup import backup as copy_database
from kscope.store.backup import restore as restore_database

_DUMP = {
    MySQL: (
        "MySQL and MariaDB have their own tool, which does not block ingest:"
        " mariadb-dump --single-transaction --databases {0} > {0}.sql"
    ),
    ClickHouse: (
        "ClickHouse copies a database by a statement, which does not block ingest:"
        " BACKUP DATABASE `{0}` TO Disk('backups', '{0}.zip'), of a cluster on every shard;"
        " see docs/clickhouse.md"
    ),
}
_LOAD = {
    MySQL: "MySQL and MariaDB have their own tool, with the server stopped: mariadb < {0}.sql",
    ClickHouse: (
        "ClickHouse restores by a statement, with the server stopped:"
        " RESTORE DATABASE `{0}` FROM Disk('backups', '{0}.zip'), of a cluster on every shard;"
        " see docs/clickhouse.md"
    ),
}


@click.command()
@click.argument("file", type=FILE)
@with_settings
def backup(*, settings: Settings, file: Path) -> None:
    """Copy the SQLite database to FILE. The server can keep running."""
    source = sqlite_path(settings, _DUMP)
    copy_database(source, file, _print_progress)
    click.echo(f"{source} -> {file}, {file.stat().st_size} bytes")


@click.command()
@click.argument("file", type=FILE)
@with_settings
@click.option("--force", is_flag=True, help="Replace an existing database.")
def restore(*, settings: Settings, file: Path, force: bool) -> None:
    """Replace the SQLite database with the backup in FILE. Stop the server first."""
    target = sqlite_path(settings, _LOAD)
    if target.exists() and not force:
        raise KscopeError(f"{target} exists; --force replaces it, and its rows are lost")
    restore_database(file, target, _print_progress)
    audit.note(f"{target} replaced by the backup {file}")
    click.echo(f"{file} -> {target}, {target.stat().st_size} bytes")


def _print_progress(left: int, pages: int) -> None:
    if left and pages:
        click.echo(f"{100 * (pages - left) // pages} %", err=True)
