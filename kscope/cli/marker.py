"""`kscope marker`: say when something was done."""

import json
import uuid
from pathlib import Path

import click

from kscope.cli import options
from kscope.client.answers import MARKERS_PATH, Outcome
from kscope.client.endpoint import Endpoint, read_token
from kscope.client.payload import Payload
from kscope.config import chosen_settings
from kscope.errors import KscopeError, UsageError

_TABLE = "marker"


@click.command()
@click.argument("text")
@click.option("--host", help="Host that it was done to. [all hosts]")
@click.option("--kind", default="note", show_default=True, help="Such as release or restart.")
@click.option("--time", "moment", metavar="TIME", help="When it was done, as in --from. [now]")
@options.config
@options.server
@options.token_file
def marker(  # noqa: PLR0913 - one per option
    *,
    text: str,
    host: str | None,
    kind: str,
    moment: str | None,
    config: Path | None,
    server: str | None,
    token_file: Path | None,
) -> None:
    """Set a marker with TEXT, which all charts show at its time.

    \b
    kscope marker "release 1.4.2"
    kscope marker "vm.swappiness 60 -> 10" --kind config --host db-2 --time now-5m
    """
    settings = chosen_settings(config)
    endpoint = Endpoint(
        server or settings.agent.server, read_token(token_file or settings.agent.token_file)
    )
    named = {"hostname": host, "kind": kind, "message": text, "time": moment}
    body = json.dumps({name: value for name, value in named.items() if value}).encode()
    answer = endpoint.post(Payload(_TABLE, uuid.uuid4().hex, 1, body, ""), MARKERS_PATH)
    if not answer.stored:
        kind_of = UsageError if answer.outcome is Outcome.REFUSED else KscopeError
        raise kind_of(answer.text)
