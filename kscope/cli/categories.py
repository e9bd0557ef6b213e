"""Categories for commands that continue if some files are bad."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from kscope.config import Settings, check_probes
from kscope.declare.files.catalog import CatalogReading, read_catalog
from kscope.declare.model import Catalog
from kscope.errors import Problem


def good_catalog(folders: Sequence[str | Path], before: Catalog | None = None) -> Catalog:
    """Return the categories of all good files; the problems of the others go to standard error.

    A file that became bad keeps the category that it has in `before`.
    """
    reading = read_catalog(folders, before)
    warn(reading.problems)
    return reading.catalog


def warn(problems: Iterable[Problem]) -> None:
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)


def check_probes_of(settings: Settings, reading: CatalogReading) -> None:
    """Raise DeclarationError as an agent would, unless a bad category file can be the reason."""
    if not reading.problems:
        check_probes(settings.agent, reading.catalog)
