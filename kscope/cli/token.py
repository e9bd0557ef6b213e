import re

import click

from kscope.config import SCOPES
from kscope.errors import UsageError
from kscope.server.http.auth import new_token, token_hash

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.command()
@click.option("--name", default="agents", help="Name of the token in kernelscope.yaml.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("ingest",),
    show_default=True,
    help="Requests that it allows; can be repeated.",
)
def token(name: str, scopes: tuple[str, ...]) -> None:
    """Create a token, and print its lines for kernelscope.yaml.

    The server stores only the token's hash, so the token cannot be shown again.
    """
    if not _NAME.fullmatch(name):
        raise UsageError("--name: must be letters, digits, '.', '_' and '-', such as web-agents")
    made = new_token()
    click.echo(made)
    click.echo("\nFor kernelscope.yaml:\n", err=True)
    click.echo("tokens:", err=True)
    scope_list = ", ".join(scopes)
    line = f"  - {{name: {name}, scopes: [{scope_list}], sha256: {token_hash(made)}}}"
    click.echo(line, err=True)
