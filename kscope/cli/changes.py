"""`kscope changes`: the differences of a range from the usual, as sentences."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from kscope.cli.options import FILE
from kscope.cli.source import DEFAULT_SERVER, pair, source_of
from kscope.query.across.baselines import BASELINE
from kscope.query.across.changes_answer import Changes, Finding
from kscope.query.export.terminal import printable
from kscope.query.questions import OF_ALL

_FORMS = ("list", "ticket", "json")


@click.command()
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--from", "start", metavar="TIME", help="Start of the time range. [now-1h]")
@click.option("--to", "end", metavar="TIME", help="End of the time range. [now]")
@click.option(
    "--baseline",
    type=click.Choice(BASELINE.choices),
    help="Compare with this; `range` needs base.from=TIME base.to=TIME. [before]",
)
@click.option("--format", "form", type=click.Choice(_FORMS), default=_FORMS[0], show_default=True)
@click.option("--server", metavar="URL", help=f"Address of the page. [{DEFAULT_SERVER}]")
@click.option("--token-file", type=FILE, help="File that contains the token. [$KSCOPE_TOKEN]")
@click.option("--sqlite", type=FILE, help="Query this database file instead of a server.")
@click.option("--config", type=FILE, help="Query the database of this kernelscope.yaml instead.")
def changes(  # noqa: PLR0913 - one per option
    *,
    parameters: tuple[str, ...],
    start: str | None,
    end: str | None,
    baseline: str | None,
    form: str,
    server: str | None,
    token_file: Path | None,
    sqlite: Path | None,
    config: Path | None,
) -> None:
    """Say what is different in a time range, in every data type; NAME=VALUE are filters.

    \b
    kscope changes --from 2026-11-23T10:18 --to 2026-11-23T10:24
    kscope changes --from now-10m --baseline day hostname=db-2
    """
    source = source_of(server, token_file, sqlite, config)
    given = (("from", start), ("to", end), (BASELINE.name, baseline))
    request = [*map(pair, parameters), *((name, text) for name, text in given if text)]
    answer = bytearray()
    source.ask_of_all(OF_ALL["changes"], request, answer.extend)
    if form == "json":
        sys.stdout.buffer.write(bytes(answer))
        return
    found = msgspec.json.decode(bytes(answer), type=Changes)
    for notice in found.notices:
        click.echo(f"{notice.level}: {printable(notice.text)}", err=True)
    lines = [found.text] if form == "ticket" else _lines(found)
    sys.stdout.buffer.write("".join(f"{printable(line)}\n" for line in lines).encode())


def _lines(found: Changes) -> Iterator[str]:
    for each in found.findings:
        yield from _finding(each)
    if not found.findings:
        yield "Nothing unusual."
    for marker in found.markers:
        on = f" on {marker.host}" if marker.host else ""
        yield f"{marker.seconds:+.0f} s: marker '{marker.message or marker.kind}'{on}"
    yield from (each.text for each in found.losses)


def _finding(found: Finding) -> Iterator[str]:
    yield found.text if found.change in ("more", "less") else f"{found.text} ({found.change})"
    yield from (f"  - {each.text}" for each in found.evidence)
