"""`kscope mcp`: the questions of the read API as tools of an assistant."""

import signal
import sys
from pathlib import Path

import click

from kscope.cli.options import FILE
from kscope.cli.source import DEFAULT_SERVER, source_of
from kscope.errors import KscopeError


@click.command()
@click.option("--server", metavar="URL", help=f"Address of the page. [{DEFAULT_SERVER}]")
@click.option("--token-file", type=FILE, help="File that contains the token. [$KSCOPE_TOKEN]")
@click.option("--sqlite", type=FILE, help="Query this database file instead of a server.")
@click.option("--config", type=FILE, help="Query the database of this kernelscope.yaml instead.")
def mcp(
    *, server: str | None, token_file: Path | None, sqlite: Path | None, config: Path | None
) -> None:
    """Answer an assistant's questions, on standard input and output.

    An assistant that speaks the Model Context Protocol (MCP) starts this command; it needs
    `pip install 'kernelscope[mcp]'`. No tool changes anything.
    """
    try:
        from kscope.assistant.server import serve  # noqa: PLC0415 - an extra that few need
    except ModuleNotFoundError as error:
        package = (error.name or "mcp").partition(".")[0]
        raise KscopeError(
            f"`kscope mcp` needs the Python package {package}: pip install 'kernelscope[mcp]'"
        ) from None
    source = source_of(server, token_file, sqlite, config)
    if sys.stdin.isatty():
        click.echo("An assistant starts this command, and writes to its standard input.", err=True)
    # A thread waits for standard input, which Ctrl-C would not end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve(source)
