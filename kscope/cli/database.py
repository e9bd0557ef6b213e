"""Options that select a database and its categories, and the open database."""

import functools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from kscope.cli import options as shared
from kscope.config import ClickHouse, MySQL, Settings, SQLite, chosen_settings, database_host
from kscope.declare.model import Catalog
from kscope.errors import KscopeError, UsageError, ValueFaultError
from kscope.store.open import store_of
from kscope.store.schema.progress import SECOND
from kscope.store.store import Store

SERVERS = {"mysql": MySQL, "clickhouse": ClickHouse}
_LOGIN = {"dbport": "port", "dbuser": "user", "dbpassword": "password", "dbname": "database"}
_OPTIONS = [
    shared.config,
    click.option("--sqlite", type=shared.FILE, help="SQLite file."),
    click.option(
        "--mysql",
        metavar="HOST[:PORT]",
        help="MySQL or MariaDB server: a host, [::1]:3307 for IPv6, or the path of its socket.",
    ),
    click.option(
        "--clickhouse",
        metavar="HOST[:PORT]",
        help="ClickHouse server: a host, or [::1]:8124 for IPv6; the port is that of HTTP.",
    ),
    click.option("--dbport", type=click.IntRange(1, 65535), help="Port of the database's server."),
    click.option("--dbuser", help="Its user."),
    click.option("--dbpassword", help="Its password; kernelscope.yaml hides it from `ps`."),
    click.option("--dbname", help="Name of the database there."),
    shared.categories,
]


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add these options to the command, which receives `settings` instead."""

    @functools.wraps(command)
    def wrapped(**options: Any) -> None:
        settings = chosen_settings(options.pop("config"))
        settings = _with_database(settings, options)
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
    store = await store_of(settings, Catalog(()), alone=alone)
    await store.backend.open()
    try:
        yield store
    finally:
        await store.close()


def moment(time: int | None) -> str:
    """Return the text of microseconds since 1970; a year beyond the calendar stays a number."""
    if time is None:
        return "?"
    try:
        return f"{datetime.fromtimestamp(time // SECOND, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{time} us"


def name_of(settings: Settings) -> str:
    """Return the database for a log: its file, or its name and server."""
    database = settings.database
    if isinstance(database, SQLite):
        return str(database.path)
    return f"{database.database} on {database.host}"


def sqlite_path(settings: Settings, advice: Mapping[type[Any], str]) -> Path:
    """Return the SQLite file. Raises KscopeError with the advice ({0}: the name) for a server."""
    if isinstance(settings.database, SQLite):
        return settings.database.path
    raise KscopeError(advice[type(settings.database)].format(settings.database.database))


def _with_database(settings: Settings, options: dict[str, Any]) -> Settings:
    """Take the database out of the options; what they leave out is as in the settings."""
    hosts = {option: options.pop(option) for option in ("sqlite", *SERVERS)}
    named = [option for option, host in hosts.items() if host]
    found = {field: options.pop(option) for option, field in _LOGIN.items()}
    login = {field: value for field, value in found.items() if value is not None}
    if len(named) > 1 or (hosts["sqlite"] and login):
        raise UsageError("name one database: either --sqlite, --mysql or --clickhouse")
    before = settings.database
    match named:
        case ["sqlite"]:
            return replace(settings, database=SQLite(hosts["sqlite"]))
        case [option]:
            kind = SERVERS[option]
            login = _with_port(option, hosts[option], login)
            before = before if isinstance(before, kind) else kind()
        case []:
            if not login:
                return settings
            if isinstance(before, SQLite):
                raise UsageError(
                    "--dbuser, --dbpassword, --dbname and --dbport require --mysql HOST or"
                    " --clickhouse HOST"
                )
    return replace(settings, database=replace(before, **login))


def _with_port(option: str, named: str, login: dict[str, Any]) -> dict[str, Any]:
    """Split the port off the host, if there is one."""
    try:
        host, port = database_host(named)
    except ValueFaultError as error:
        raise UsageError(f"--{option}: {error.fault}") from None
    if option != "mysql" and host.startswith("/"):
        raise UsageError(f"--{option}: must be a name or an address, not a path")
    if port is not None and login.setdefault("port", port) != port:
        raise UsageError(f"--{option} names port {port}, --dbport {login['port']}; leave one out")
    return login | {"host": host}
