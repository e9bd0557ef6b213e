"""The list of commands: it says of each the same as the command itself, and imports none."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from kscope.cli import COMMANDS, cli

LIST = """
import sys
from kscope.cli import main
try:
    main(["--help"])
except SystemExit:
    print([name for name in sys.modules if name.startswith("kscope.")])
"""


@pytest.mark.parametrize("name", [*COMMANDS])
def test_the_list_says_what_a_command_says(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.get_short_help_str(1000) == COMMANDS[name].does


def test_the_list_imports_no_command() -> None:
    """So it is there at once, and where only an agent is installed."""
    done = subprocess.run(
        [sys.executable, "-c", LIST], capture_output=True, text=True, check=True, timeout=60
    )
    for name, command in COMMANDS.items():
        assert f"\n  {name} " in done.stdout, done.stdout
        module = command.place.partition(":")[0]
        assert f"'{module}'" not in done.stdout
    assert "kscope.server" not in done.stdout
    assert "kscope.agent" not in done.stdout
