"""`kscope doctor`: check this host for the agent, and suggest fixes."""

import sys
from pathlib import Path

import click

from kscope.agent.doctor import Finding, Verdict, examine
from kscope.cli import options
from kscope.cli.categories import check_probes_of, warn
from kscope.cli.trust import trust_of
from kscope.client.endpoint import read_token
from kscope.config import chosen_settings
from kscope.declare.files.catalog import read_catalog

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "red"}


@click.command()
@options.config
@options.server
@options.token_file
def doctor(config: Path | None, server: str | None, token_file: Path | None) -> None:
    """Check whether this host supports the agent, and print a fix for each problem.

    The exit code is 1 if something that every agent needs is missing.
    """
    chosen = chosen_settings(config)
    settings = chosen.agent
    reading = read_catalog(chosen.categories)
    warn(reading.problems)
    check_probes_of(chosen, reading)
    token = read_token(token_file or settings.token_file)
    failed = False
    for finding in examine(server or settings.server, token, trust_of(settings)):
        failed |= finding.verdict is Verdict.FAILED
        click.echo(_line(finding))
    sys.exit(1 if failed else 0)


def _line(finding: Finding) -> str:
    verdict = click.style(f"{finding.verdict:4}", fg=_COLOURS[finding.verdict])
    fix = f"\n     -> {finding.fix}" if finding.fix else ""
    return f"{verdict} {finding.subject}: {finding.detail}{fix}"
