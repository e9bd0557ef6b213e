"""The command line: arguments, exit codes and printing, nothing else."""

import importlib
import io
import sys
from typing import Any

import click

from kscope import __version__
from kscope.cli.output import guard_output
from kscope.errors import DeclarationError, KscopeError, did_you_mean, without_secrets

_INTERRUPTED = 130
# Commands are imported when they are called: an agent must not import the server.
COMMANDS = {
    "agent": "kscope.cli.agent:agent",
    "changes": "kscope.cli.changes:changes",
    "copy": "kscope.cli.copy:copy",
    "backup": "kscope.cli.backup:backup",
    "doctor": "kscope.cli.doctor:doctor",
    "generate": "kscope.cli.generate:generate",
    "import": "kscope.cli.import_:import_",
    "log": "kscope.cli.log:log",
    "marker": "kscope.cli.marker:marker",
    "mcp": "kscope.cli.mcp:mcp",
    "migrate": "kscope.cli.migrate:migrate",
    "query": "kscope.cli.query:query",
    "restore": "kscope.cli.backup:restore",
    "retention": "kscope.cli.retention:retention",
    "serve": "kscope.cli.serve:serve",
    "spool": "kscope.cli.spool:spool",
    "symbols": "kscope.cli.symbols:symbols",
    "token": "kscope.cli.token:token",
}


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
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kscope")
def cli() -> None:
    """Log the events that BPF scripts see on many hosts, and explore them."""


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; an error becomes its text on stderr and its exit code."""
    guard_output()
    try:
        try:
            code = cli.main(args=arguments, prog_name="kscope", standalone_mode=False)
        finally:
            sys.stdout.flush()
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


def _show(error: click.ClickException) -> None:
    """Print click's message without secrets, because it repeats arguments."""
    said = io.StringIO()
    error.show(said)
    click.echo(without_secrets(said.getvalue()), err=True, nl=False)
