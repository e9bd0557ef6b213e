"""`kscope spool`: list, send or drop the batches that an agent or a Logger keeps."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from kscope.agent.agent import spool_folder
from kscope.cli import SuggestingGroup, audit, options
from kscope.cli.trust import trust_of
from kscope.client.answers import one_line
from kscope.client.endpoint import Endpoint, read_token
from kscope.client.spool import explain, remove
from kscope.client.spool_listing import Kept, kept
from kscope.client.spool_lock import folder_of
from kscope.config import AgentSettings, chosen_settings
from kscope.errors import KscopeError, UsageError


def _folder(command: Callable[..., None]) -> Callable[..., None]:
    help_ = "Folder of the spool. [the configuration's, or the default of agents]"
    return options.config(click.option("--spool", type=options.FILE, help=help_)(command))


@click.group(cls=SuggestingGroup)
def spool() -> None:
    """List, send or drop rows that wait for a server or that a server refused.

    An agent can run on the same folder. It sends the waiting batches itself, so `send` and `drop`
    skip them with a message; they handle the batches that are set aside.
    """


@spool.command(name="list")
@_folder
def list_(config: Path | None, spool: Path | None) -> None:
    """Print each batch: its name, time, host, table, rows, bytes, and why it is set aside."""
    batches = rows = size = 0
    for each in kept(_root(spool, chosen_settings(config).agent)):
        click.echo(_line(each))
        batches, rows, size = batches + 1, rows + each.entry.rows, size + each.entry.size
    click.echo(f"{batches} batches, {rows} rows, {size} bytes")


@spool.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_folder
@options.server
@options.token_file
@click.option("--all", "every", is_flag=True, help="Also send batches for other servers.")
def send(names: tuple[str, ...], every: bool, **flags: Any) -> None:  # noqa: FBT001
    """Send the named batches, or all for the server, which stores each once.

    The exit code is 1 if the server does not have all of them afterwards.
    """
    settings = chosen_settings(flags["config"]).agent
    endpoint = Endpoint(
        flags["server"] or settings.server,
        read_token(flags["token_file"] or settings.token_file),
        settings.timeout,
        trust=trust_of(settings),
    )
    root, mine = _root(flags["spool"], settings), folder_of(endpoint.url)
    sent = failed = rows = others = 0
    with closing(endpoint):
        for each in _chosen(root, names):
            if not names and not every and each.server != mine:
                others += 1
            elif _sent(each, endpoint):
                sent, rows = sent + 1, rows + each.entry.rows
            else:
                failed += 1
    click.echo(f"{sent} batches with {rows} rows are stored")
    if others:
        click.echo(
            f"{others} batches are kept for other servers: --all, or their names, sends them to"
            f" {endpoint.url}",
            err=True,
        )
    if failed:
        raise KscopeError(f"{failed} batches were not stored, and are kept")


@spool.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_folder
@click.option("--all", "every", is_flag=True, help="Drop every batch.")
def drop(names: tuple[str, ...], every: bool, config: Path | None, spool: Path | None) -> None:  # noqa: FBT001
    """Delete batches by their names, as `kscope spool list` prints them, or all with --all.

    Each is printed, and its rows are lost.
    """
    if bool(names) == every:
        raise click.UsageError("name the batches to drop, or use --all")
    locked = 0
    for each in _chosen(_root(spool, chosen_settings(config).agent), names):
        if each.locked:
            locked += 1
            click.echo(f"{each.name}: kept; an agent runs on it, stop it first", err=True)
        else:
            line = _line(each)
            remove(each.entry.path)
            audit.note(f"dropped from the spool: {line}")
            click.echo(f"dropped {line}")
    if locked:
        raise KscopeError(f"{locked} batches were not dropped: an agent runs on their folder")


def _chosen(root: Path, names: Sequence[str]) -> Iterator[Kept]:
    """Yield the batches of these names, or all; UsageError before any if a name is none."""
    if names:
        there = {each.name for each in kept(root)}
        if wrong := [name for name in names if name not in there]:
            raise UsageError(f"{one_line(wrong[0])}: there is no such batch in {root}; "
                             "`kscope spool list` prints the names")  # fmt: skip
    yield from (each for each in kept(root) if not names or each.name in names)


def _sent(each: Kept, endpoint: Endpoint) -> bool:
    """Return whether the server has it now; a refusal is written next to it."""
    if each.locked:
        click.echo(f"{each.name}: an agent runs on it, and sends it itself", err=True)
        return False
    try:
        payload = each.entry.payload()
    except OSError as error:
        click.echo(f"{each.name}: cannot be read: {error.strerror}", err=True)
        return False
    answer = endpoint.post(payload)
    if answer.stored:
        remove(each.entry.path)
        if answer.told:
            click.echo(f"{each.name}: {answer.told}", err=True)
        return True
    if not answer.status:
        raise KscopeError(f"{answer.text}; all that is not stored is kept")
    if each.aside:
        explain(each.entry.path, payload.rows, answer)
    click.echo(f"{each.name}: {answer.text}", err=True)
    return False


def _root(given: Path | None, settings: AgentSettings) -> Path:
    root = given or settings.spool or spool_folder()
    if not root.is_dir():
        raise KscopeError(f"{root}: is not a spool; name its folder with --spool")
    return root


def _line(each: Kept) -> str:
    host, time = each.envelope()
    if each.aside:
        state = f"set aside: {each.reason() or 'the reason is not known'}"
    else:
        state = "waits, an agent sends it" if each.busy else "waits"
    entry = each.entry
    told = f"{time or '-'}  {host or '-'}  {entry.table}  {entry.rows} rows  {entry.size} bytes"
    return f"{each.name}  {one_line(told)}  {one_line(state)}"
