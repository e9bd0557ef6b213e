"""Options that select a database and its categories."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from kscope.cli import options as shared
from kscope.cli.categories import warn
from kscope.config import MySQL, Settings, SQLite, chosen_settings, mysql_host
from kscope.declare.model import Catalog
from kscope.errors import KscopeError, UsageError, ValueFaultError
from kscope.store.open import backend_of, check_there
from kscope.store.store import Store
from kscope.store.usable_categories import adopt_folders

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


def run_with_store(settings: Settings, work: Callable[[Store], Awaitable[None]]) -> None:
    """Open and migrate the database, which must exist, and do the work.

    A category whose file is bad keeps its stored columns, as in a server.
    """
    check_there(settings)

    async def run() -> None:
        store = Store(backend_of(settings), Catalog(()))
        await store.connect()
        try:
            before = await store.remembered()
            warn(await adopt_folders(settings.categories, before, store.adopt))
            await work(store)
        finally:
            await store.close()

    asyncio.run(run())


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
