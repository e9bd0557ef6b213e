"""`kscope hosts`: the hosts that send rows, and those that have stopped."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from kscope.cli.options import FILE
from kscope.cli.source import DEFAULT_SERVER, source_of
from kscope.query.answers.heard import HeardHost, HeardHosts
from kscope.query.export import terminal

# Seconds of a unit, its name, and how many of the next smaller one it has.
_UNITS = (
    (86400, "d", (24, "h")),
    (3600, "h", (60, "min")),
    (60, "min", (60, "s")),
)
_HEAD = ["host", "state", "last rows", "ago", "sent by"]


@click.command()
@click.option("--silent", is_flag=True, help="List the silent ones alone.")
@click.option(
    "--format", "form", type=click.Choice(("table", "json")), default="table", show_default=True
)
@click.option("--server", metavar="URL", help=f"Address of the page. [{DEFAULT_SERVER}]")
@click.option("--token-file", type=FILE, help="File that contains the token. [$KSCOPE_TOKEN]")
@click.option("--sqlite", type=FILE, help="Query this database file instead of a server.")
@click.option("--config", type=FILE, help="Query the database of this kernelscope.yaml instead.")
def hosts(  # noqa: PLR0913 - one per option
    *,
    silent: bool,
    form: str,
    server: str | None,
    token_file: Path | None,
    sqlite: Path | None,
    config: Path | None,
) -> None:
    """List the hosts that sent rows in the last day, and say which are silent.

    A host is silent if it has sent none for the time `silent_after` of the server's configuration.
    A database knows what its server has noted, which may be some seconds old.
    """
    answer = bytearray()
    source_of(server, token_file, sqlite, config).heard(answer.extend)
    found = msgspec.json.decode(bytes(answer), type=HeardHosts)
    listed = [each for each in found.hosts if each.silent or not silent]
    if form == "json":
        shown = msgspec.structs.replace(found, hosts=listed)
        sys.stdout.buffer.write(msgspec.json.encode(shown) + b"\n")
        return
    sys.stdout.buffer.write("".join(_lines(found, listed)).encode())


def _lines(found: HeardHosts, listed: list[HeardHost]) -> Iterator[str]:
    if listed:
        yield terminal.table(_HEAD, (_row(each, found.now) for each in listed))
    silence = _span(found.silent_after)
    count = f"{len(found.hosts)} host{'' if len(found.hosts) == 1 else 's'} in the last day"
    yield f"{count}, {found.silent} silent for more than {silence}\n"


def _row(host: HeardHost, now: int) -> list[str]:
    last = datetime.fromtimestamp(host.last // 1_000_000, UTC)
    return [
        host.host,
        "silent" if host.silent else "sends",
        f"{last:%Y-%m-%d %H:%M:%S} UTC",
        _span(max(0, now - host.last) / 1_000_000),
        host.program,
    ]


def _span(seconds: float) -> str:
    """Write a length of time in its two largest units."""
    whole = round(seconds)
    for size, unit, smaller in _UNITS:
        if whole >= size:
            rest = whole % size * smaller[0] // size
            return f"{whole // size} {unit}" + (f" {rest} {smaller[1]}" if rest else "")
    return f"{whole} s"
