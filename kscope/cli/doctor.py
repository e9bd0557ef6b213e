"""`kscope doctor`: what this host can do, and how to mend what it cannot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kscope.agent.doctor import Verdict, examine
from kscope.cli.categories import warn
from kscope.client.endpoint import read_token
from kscope.config import check_probes, chosen_settings
from kscope.declare.files.catalog import read_catalog

if TYPE_CHECKING:
    from kscope.agent.doctor import Finding

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "red"}


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path, exists=True), help="[./kernelscope.yaml if there]"
)
@click.option("--server", metavar="URL", help="[the configuration's, or http://127.0.0.1:8081]")
@click.option("--token-file", type=click.Path(path_type=Path))
def doctor(config: Path | None, server: str | None, token_file: Path | None) -> None:
    """Say what this host can and cannot do for the agent, and what mends it.

    Exit code 1 when something that every agent needs is missing.
    """
    chosen = chosen_settings(config)
    settings = chosen.agent
    reading = read_catalog(chosen.categories)
    warn(reading.problems)
    # An agent with this file would not start. A probe may be unknown since its file is bad.
    if not reading.problems:
        check_probes(settings, reading.catalog)
    token = read_token(token_file or settings.token_file)
    failed = False
    for finding in examine(server or settings.server, token):
        failed |= finding.verdict is Verdict.FAILED
        click.echo(_line(finding))
    sys.exit(1 if failed else 0)


def _line(finding: Finding) -> str:
    verdict = click.style(f"{finding.verdict:4}", fg=_COLOURS[finding.verdict])
    mend = f"\n     -> {finding.mend}" if finding.mend else ""
    return f"{verdict} {finding.what}: {finding.detail}{mend}"
