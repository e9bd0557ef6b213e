"""Options that select a database and its categories, and the open database."""

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from kscope.cli import options as shared
from kscope.config import MySQL, Settings, SQLite, chosen_settings, mysql_host
from kscope.declare.model import Catalog
from kscope.errors import KscopeError, UsageError, ValueFaultError
from kscope.store.open import backend_of
from kscope.store.schema.progress import SECOND
from kscope.store.store import Store

_MYSQL = {
    "mysql": "host",
    "dbport": "port",
    "dbuser": "user",
    "dbpassword": "password",
    "dbname": "database",
}
_OPTIONS = [
    shared.config,
    click.option("--sqlite", type=shared.FILE, help="SQLite file."),
    click.option(
        "--mysql",
        metavar="HOST[:PORT]",
        help="MySQL or MariaDB server: a host, [::1]:3307 for IPv6, or the path of its socket.",
    ),
    click.option("--dbport", type=click.IntRange(1, 65535), help="Port of the MySQL server."),
    click.option("--dbuser", help="MySQL user."),
    click.option("--dbpassword", help="MySQL password; kernelscope.yaml hides it from `ps`."),
    click.option("--dbname", help="MySQL database."),
    shared.categories,
]


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add these options to the command, which receives `settings` instead."""

    @functools.wraps(command)
    def wrapped(**options: Any) -> None:
        settings = chosen_settings(options.pop("config"))
        sqlite = options.pop("sqlite")
        given = {field: options.pop(option) for option, field in _MYSQL.items()}
        chosen = _with_port({name: value for name, value in given.items() if value is not None})
        settings = _with_database(settings, sqlite, chosen)
        folders = (*settings.categories, *options.pop("categories"))
        settings = replace(settings, categories=folders)
        command(settings=settings, **options)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


@asynccontextmanager
async def opened(settings: Settings, *, alone: bool = False) -> AsyncIterator[Store]:
    """Open the database, for a caller that adopts categories. If `alone`, not beside a server on
    the same SQLite file.
    """
    store = Store(backend_of(settings, alone=alone), Catalog(()))
    await store.backend.open()
    try:
        yield store
    finally:
        await store.backend.close()


def moment(time: int | None) -> str:
    """Return the text of microseconds since 1970; a year beyond the calendar stays a number."""
    if time is None:
        return "?"
    try:
        return f"{datetime.fromtimestamp(time // SECOND, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{time} us"


def sqlite_path(settings: Settings, advice: str) -> Path:
    """Return the SQLite file. Raises KscopeError with `advice` ({0}: the name) for MySQL."""
    if isinstance(settings.database, MySQL):
        raise KscopeError(advice.format(settings.database.database))
    return settings.database.path


def _with_port(mysql: dict[str, Any]) -> dict[str, Any]:
    """Split the port off the host, if there is one."""
    if "host" not in mysql:
        return mysql
    try:
        host, port = mysql_host(mysql["host"])
    except ValueFaultError as error:
        raise UsageError(f"--mysql: {error.fault}") from None
    if port is not None and mysql.setdefault("port", port) != port:
        raise UsageError(f"--mysql names port {port}, --dbport {mysql['port']}; leave one out")
    return mysql | {"host": host}


def _with_database(settings: Settings, sqlite: Path | None, mysql: dict[str, Any]) -> Settings:
    if sqlite and mysql:
        raise UsageError("name one database: either --sqlite or --mysql")
    if sqlite:
        return replace(settings, database=SQLite(sqlite))
    if not mysql:
        return settings
    if "host" not in mysql and not isinstance(settings.database, MySQL):
        raise UsageError("--dbuser, --dbpassword, --dbname and --dbport require --mysql HOST")
    before = settings.database if isinstance(settings.database, MySQL) else MySQL()
    return replace(settings, database=replace(before, **mysql))
