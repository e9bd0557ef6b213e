"""The command line: arguments, exit codes and printing, nothing else."""

import importlib
import io
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from kscope import __version__
from kscope.cli.missing import explained
from kscope.cli.output import guard_output
from kscope.errors import DeclarationError, KscopeError, did_you_mean, without_secrets

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_INTERRUPTED = 130
# Set by the scripts of `kscope completion`; click has its name.
COMPLETING = "_KSCOPE_COMPLETE"


@dataclass(frozen=True)
class _Command:
    """The place of a command, and what it does: the first sentence of its help."""

    place: str
    does: str


# Commands are imported when they are called: an agent must not import the server, and the list of
# commands would take a second.
COMMANDS = {
    "agent": _Command(
        "kscope.cli.agent:agent",
        "Run a probe, or those of the configuration, and send their rows to a server.",
    ),
    "backup": _Command(
        "kscope.cli.backup:backup",
        "Copy the SQLite database to FILE.",
    ),
    "changes": _Command(
        "kscope.cli.changes:changes",
        "Say what is different in a time range, in every data type; NAME=VALUE are filters.",
    ),
    "completion": _Command(
        "kscope.cli.completion:completion",
        "Print the script with which bash, zsh or fish complete the words of kscope.",
    ),
    "copy": _Command(
        "kscope.cli.copy:copy",
        "Copy a database into another one, of any engine.",
    ),
    "doctor": _Command(
        "kscope.cli.doctor:doctor",
        "Check whether this host supports the agent, and print a fix for each problem.",
    ),
    "generate": _Command(
        "kscope.cli.generate:generate",
        "Generate DDL, JSON Schemas, chart configurations and reference pages.",
    ),
    "hosts": _Command(
        "kscope.cli.hosts:hosts",
        "List the hosts that sent rows in the last day, and say which are silent.",
    ),
    "import": _Command(
        "kscope.cli.import_:import_",
        "Send recordings of other tools as rows of TABLE.",
    ),
    "log": _Command(
        "kscope.cli.log:log",
        "Send rows of TABLE from standard input, each as soon as its line arrives.",
    ),
    "marker": _Command(
        "kscope.cli.marker:marker",
        "Set a marker with TEXT, which all charts show at its time.",
    ),
    "mcp": _Command(
        "kscope.cli.mcp:mcp",
        "Answer an assistant's questions, on standard input and output.",
    ),
    "migrate": _Command(
        "kscope.cli.migrate:migrate",
        "Migrate a database to the present categories, as a server does when it starts.",
    ),
    "query": _Command(
        "kscope.cli.query:query",
        "Query TABLE; filters and other parameters are NAME=VALUE.",
    ),
    "restore": _Command(
        "kscope.cli.backup:restore",
        "Replace the SQLite database with the backup in FILE.",
    ),
    "retention": _Command(
        "kscope.cli.retention:retention",
        "Remove rows that are older than their retention.",
    ),
    "serve": _Command(
        "kscope.cli.serve:serve",
        "Receive rows, and serve the page.",
    ),
    "spool": _Command(
        "kscope.cli.spool:spool",
        "List, send or drop rows that wait for a server or that a server refused.",
    ),
    "symbols": _Command(
        "kscope.cli.symbols:symbols",
        "Add, list or remove the names of functions, by the build ids of their files.",
    ),
    "token": _Command(
        "kscope.cli.token:token",
        "Create a token, and print it; list or revoke those of a file.",
    ),
}


def completed(
    group: click.Group, ctx: click.Context, incomplete: str, does: Mapping[str, str]
) -> list["CompletionItem"]:
    """Return a group's commands, with their sentences, and its options that begin so."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - only shells need it

    found = [CompletionItem(name, help=text) for name, text in sorted(does.items())]
    options = click.Command.shell_complete(group, ctx, incomplete)
    return [each for each in found if each.value.startswith(incomplete)] + options


class SuggestingGroup(click.Group):
    """Suggest the nearest command, or list all, for an unknown name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = did_you_mean(args[0], self.list_commands(ctx))
            ctx.fail(f"there is no command '{args[0][:60]}'{near}")
        return super().resolve_command(ctx, args)


class LazyGroup(SuggestingGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list["CompletionItem"]:
        does = {name: each.does for name, each in COMMANDS.items()}
        return completed(self, ctx, incomplete, does)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.does) for name, each in sorted(COMMANDS.items())])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kscope")
def cli() -> None:
    """Log the events that BPF scripts see on many hosts, and explore them."""


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; an error becomes its text on stderr and its exit code."""
    guard_output()
    if COMPLETING in os.environ:
        _complete()
    try:
        try:
            code = cli.main(args=arguments, prog_name="kscope", standalone_mode=False)
        finally:
            sys.stdout.flush()
    except ModuleNotFoundError as error:
        # Not where a command is imported: commands import more when they run.
        if (missing := explained(error)) is None:
            raise
        click.echo(str(missing), err=True)
        sys.exit(missing.exit_code)
    except DeclarationError as error:
        # Category files do not contain secrets, and no message shows a value of the configuration.
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except KscopeError as error:
        click.echo(without_secrets(str(error)), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _show(error)
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:  # standard error is closed
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _complete() -> None:
    """Answer a shell, and exit; if that fails, nothing is shown."""
    hidden = suppress(KscopeError, click.ClickException, ModuleNotFoundError)
    with redirect_stderr(io.StringIO()), hidden:
        cli.main(args=[], prog_name="kscope", standalone_mode=False)
    sys.exit(1)


def _show(error: click.ClickException) -> None:
    """Print click's message without secrets, because it repeats arguments."""
    said = io.StringIO()
    error.show(said)
    click.echo(without_secrets(said.getvalue()), err=True, nl=False)
