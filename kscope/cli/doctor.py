"""`kscope doctor`: what this host can do, and how to mend what it cannot."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from kscope.agent.doctor import Verdict, examine

if TYPE_CHECKING:
    from kscope.agent.doctor import Finding

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "red"}


@click.command()
@click.option("--server", default="http://127.0.0.1:8081", show_default=True, metavar="URL")
def doctor(server: str) -> None:
    """Say what this host can and cannot do for the agent, and what mends it.

    Exit code 1 when something that every agent needs is missing.
    """
    failed = False
    for finding in examine(server):
        failed |= finding.verdict is Verdict.FAILED
        click.echo(_line(finding))
    sys.exit(1 if failed else 0)


def _line(finding: Finding) -> str:
    verdict = click.style(f"{finding.verdict:4}", fg=_COLOURS[finding.verdict])
    mend = f"\n     -> {finding.mend}" if finding.mend else ""
    return f"{verdict} {finding.what}: {finding.detail}{mend}"
