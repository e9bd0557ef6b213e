"""`kscope token`."""

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from kscope.cli import audit, options
from kscope.config import SCOPES, Token, checked_hosts, load_tokens, read_moment
from kscope.declare import units
from kscope.errors import KscopeError, UsageError, ValueFaultError, printable
from kscope.files import replaced
from kscope.server.http.tokens import has_expired, new_token, token_hash

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Texts that YAML reads as themselves without quotes.
_PLAIN = re.compile(r"(?i:(?!(true|false|null|yes|no|on|off|[yn])$)[a-z][a-z0-9_-]*)")
_HEAD = "# `kscope token` writes this file, and keeps no comments in it.\n"


@click.command()
@click.option("--name", default="agents", help="Name of the token.", show_default=True)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("ingest",),
    show_default=True,
    help="Requests that it allows, admin all; can be repeated.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="PATTERN",
    help="Hosts whose rows it may bring, such as web-*; can be repeated. [all]",
)
@click.option(
    "--expires", metavar="WHEN", help="When it is accepted no more: 90d, or 2027-01-31. [never]"
)
@click.option(
    "--rows-per-minute", type=click.IntRange(1), help="Rows that it may bring in a minute. [any]"
)
@click.option(
    "--bytes-per-minute", metavar="SIZE", help="Bytes of bodies in a minute: 64MiB. [any number]"
)
@click.option("--file", type=options.FILE, help="The server's tokens_file, which gets the token.")
@click.option("--list", "lists", is_flag=True, help="List the tokens of --file.")
@click.option("--revoke", metavar="NAME", help="Remove the token of this name from --file.")
def token(  # noqa: PLR0913 - one per option
    *,
    name: str,
    scopes: tuple[str, ...],
    hosts: tuple[str, ...],
    expires: str | None,
    rows_per_minute: int | None,
    bytes_per_minute: str | None,
    file: Path | None,
    lists: bool,
    revoke: str | None,
) -> None:
    """Create a token, and print it; list or revoke those of a file.

    With --file the server's file of tokens gets its hash, and a running server accepts it in a
    second. Otherwise its lines for kernelscope.yaml are printed too. No file has the token itself,
    so it cannot be shown again.
    """
    if lists or revoke:
        if file is None:
            raise UsageError("--list and --revoke need --file, the server's tokens_file")
        if revoke:
            _revoke(file, revoke)
        else:
            _list(load_tokens(file))
        return
    if not _NAME.fullmatch(name):
        raise UsageError("--name: must be letters, digits, '.', '_' and '-', such as web-agents")
    try:
        hosts = tuple(map(checked_hosts, hosts))
    except ValueFaultError as error:
        raise UsageError(f"--host: {error.fault}") from None
    made = new_token()
    entry = Token(
        name,
        token_hash(made),
        scopes,
        expires=_moment(expires),
        hosts=hosts,
        rows_per_minute=rows_per_minute,
        bytes_per_minute=_size(bytes_per_minute),
    )
    if file is not None:
        _add(file, entry)
    audit.note(f"token {name} made, {', '.join(scopes)}, {file or 'for kernelscope.yaml'}")
    click.echo(made)
    if file is None:
        click.echo(f"\nFor kernelscope.yaml:\n\ntokens:\n{_line(entry)}", err=True)


def _add(file: Path, entry: Token) -> None:
    with _alone(file):
        found = load_tokens(file) if os.path.lexists(file) else ()
        if any(each.name == entry.name for each in found):
            hint = "revoke it, or choose another --name"
            raise UsageError(f"{file} has a token {entry.name}: {hint}")
        _write(file, [*found, entry])


def _revoke(file: Path, name: str) -> None:
    with _alone(file):
        found = load_tokens(file)
        kept = [each for each in found if each.name != name]
        if len(kept) == len(found):
            raise KscopeError(f"{file} has no token of this name; --list shows all")
        _write(file, kept)
    audit.note(f"token {name} revoked, {file}")
    click.echo(f"revoked: {name}", err=True)


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keep other commands that change a file of this folder waiting."""
    try:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KscopeError(f"{file.parent}: {error.strerror}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(file: Path, tokens: Sequence[Token]) -> None:
    """Replace the file at once: a server that reads it finds all of it."""
    lines = "\n".join(map(_line, tokens))
    replaced(file, f"{_HEAD}tokens:\n{lines}\n" if tokens else f"{_HEAD}tokens: []\n")


def _list(tokens: Sequence[Token]) -> None:
    for each in tokens:
        hosts = f"hosts {', '.join(each.hosts)}" if each.hosts else "all hosts"
        line = f"{each.name}  {', '.join(each.scopes)}  {hosts}  {_until(each)}"
        click.echo(printable(line))


def _until(entry: Token) -> str:
    if entry.expires is None:
        return "does not expire"
    return f"{'expired' if has_expired(entry) else 'expires'} {_written(entry.expires)}"


def _moment(text: str | None) -> float | None:
    """Return the seconds since 1970 of a date, or of the end of a time from now."""
    if text is None:
        return None
    try:
        return float(int(time.time() + units.span(text)))
    except ValueError:
        pass
    try:
        return read_moment(text)
    except ValueFaultError as error:
        raise UsageError(f"--expires: {error.fault}, or a time from now such as 90d") from None


def _size(text: str | None) -> int | None:
    try:
        return None if text is None else units.read_bytes(text)
    except ValueFaultError as error:
        raise UsageError(f"--bytes-per-minute: {error.fault}") from None


def _line(entry: Token) -> str:
    values: dict[str, Any] = {each.name: getattr(entry, each.name) for each in fields(entry)}
    if entry.expires is not None:
        values["expires"] = _written(entry.expires)
    given = (f"{key}: {_yaml(value)}" for key, value in values.items() if value not in (None, ()))
    return f"  - {{{', '.join(given)}}}"


def _yaml(value: int | str | Sequence[str]) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else json.dumps(value)
    return f"[{', '.join(map(_yaml, value))}]"


def _written(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"
