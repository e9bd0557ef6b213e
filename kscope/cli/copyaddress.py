"""Addresses of databases on the command line: `sqlite:PATH`, `mysql:USER@HOST:PORT/NAME`."""

import os
import re
from dataclasses import replace
from pathlib import Path

from kscope.cli.database import SERVERS
from kscope.config import (
    Settings,
    SQLite,
    checked_path,
    database_host,
    load_settings,
)
from kscope.errors import UsageError, ValueFaultError, did_you_mean
from kscope.files import UnreadableError, read_secret

FORMS = (
    "sqlite:PATH, mysql:[USER@]HOST[:PORT]/NAME, clickhouse:[USER@]HOST[:PORT]/NAME, config:FILE"
)
_KINDS = ("sqlite", *SERVERS, "config")
# The name of a database is what kernelscope.yaml takes.
_SERVER = re.compile(r"(?:(?P<user>[^@:/]+)@)?(?P<host>[^@/]+)/(?P<name>[^:@/?#]+)", re.ASCII)


def read_address(option: str, text: str, password_file: Path | None) -> Settings:
    """Return settings with the database that an address names.

    Its password is in the file, or in KSCOPE_FROM_PASSWORD or KSCOPE_TO_PASSWORD. Raises
    UsageError.
    """
    kind, colon, rest = text.partition(":")
    if not colon or not rest or kind not in _KINDS:
        near = did_you_mean(kind, _KINDS, listed=False) if colon else ""
        raise UsageError(f"--{option}: is not the address of a database{near}; write {FORMS}")
    if kind in SERVERS:
        return _server(option, kind, rest, password_file)
    if password_file:
        raise UsageError(f"--{option}-password-file: {kind}: is not used; leave it out")
    try:
        path = Path(checked_path(rest))
    except ValueFaultError as error:
        raise UsageError(f"--{option}: {error.fault}") from None
    return load_settings(path) if kind == "config" else replace(Settings(), database=SQLite(path))


def _server(option: str, kind: str, rest: str, password_file: Path | None) -> Settings:
    found = _SERVER.fullmatch(rest)
    if not found:
        # The text may hold a password: it is not repeated.
        raise UsageError(
            f"--{option}: is not {kind}:[USER@]HOST[:PORT]/NAME; a password belongs into a file"
            f" (--{option}-password-file) or into {_variable(option)}"
        )
    try:
        host, port = database_host(found["host"])
    except ValueFaultError as error:
        raise UsageError(f"--{option}: {error.fault}") from None
    chosen = SERVERS[kind](host=host, database=found["name"])
    if port is not None:
        chosen = replace(chosen, port=port)
    if found["user"]:
        chosen = replace(chosen, user=found["user"])
    return replace(Settings(), database=replace(chosen, password=_password(option, password_file)))


def _password(option: str, file: Path | None) -> str:
    if file is None:
        return os.environ.get(_variable(option), "")
    try:
        return read_secret(file)
    except UnreadableError as error:
        raise UsageError(f"--{option}-password-file {file}: {error.fault}") from None


def _variable(option: str) -> str:
    return f"KSCOPE_{option.upper()}_PASSWORD"
