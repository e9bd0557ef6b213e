"""`kscope marker`: say when something was done."""

import json
import time
import uuid
from pathlib import Path

import click

from kscope.cli import options
from kscope.cli.trust import trust_of
from kscope.client.answers import MARKERS_PATH, Answer, Outcome
from kscope.client.endpoint import Endpoint, read_token
from kscope.client.payload import Payload
from kscope.config import chosen_settings
from kscope.errors import KscopeError, UsageError

_TABLE = "marker"
_LONGEST_KEY = 255
_TRIES = 3
# Seconds between two, at most.
_PAUSE = 2.0
# No answer, or not now: the marker may have been stored, or will be.
_AGAIN = (0, 503)


@click.command()
@click.argument("text")
@click.option("--host", help="Host that it was done to. [all hosts]")
@click.option("--kind", default="note", show_default=True, help="Such as release or restart.")
@click.option("--time", "moment", metavar="TIME", help="When it was done, as in --from. [now]")
@click.option(
    "--key", help="Set the marker once for this key, however often the command is repeated."
)
@options.config
@options.server
@options.token_file
def marker(  # noqa: PLR0913 - one per option
    *,
    text: str,
    host: str | None,
    kind: str,
    moment: str | None,
    key: str | None,
    config: Path | None,
    server: str | None,
    token_file: Path | None,
) -> None:
    """Set a marker with TEXT, which all charts show at its time.

    \b
    kscope marker "release 1.4.2"
    kscope marker "vm.swappiness 60 -> 10" --kind config --host db-2 --time now-5m
    kscope marker "release 1.4.2" --key "build-$BUILD_ID"
    """
    settings = chosen_settings(config)
    endpoint = Endpoint(
        server or settings.agent.server,
        read_token(token_file or settings.agent.token_file),
        trust=trust_of(settings.agent),
    )
    if key and not (key.isascii() and key.isprintable() and len(key) <= _LONGEST_KEY):
        raise UsageError(f"--key: use at most {_LONGEST_KEY} printable ASCII characters")
    named = {"hostname": host, "kind": kind, "message": text, "time": moment}
    body = json.dumps({name: value for name, value in named.items() if value}).encode()
    answer = _sent(endpoint, Payload(_TABLE, key or uuid.uuid4().hex, 1, body, ""))
    if not answer.stored:
        kind_of = UsageError if answer.outcome is Outcome.REFUSED else KscopeError
        raise kind_of(answer.text)


def _sent(endpoint: Endpoint, payload: Payload) -> Answer:
    """Send it again with its key after a lost answer: the server stores it once."""
    answer = endpoint.post(payload, MARKERS_PATH)
    for _ in range(_TRIES - 1):
        if answer.status not in _AGAIN or answer.stored:
            break
        time.sleep(min(_PAUSE, answer.retry_after or _PAUSE))
        answer = endpoint.post(payload, MARKERS_PATH)
    return answer
