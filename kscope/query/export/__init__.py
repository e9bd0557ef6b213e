"""Answers in other formats: CSV, folded text, pprof, speedscope, SVG, terminal.

A module with a tuple FORMATS is a format of the API and of `kscope query`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from kscope.discovery import discovered
from kscope.query.export.base import (
    ComparisonFormat,
    ExportFormat,
    StackFormat,
    TableFormat,
    of_comparisons,
)


def titles(formats: Mapping[str, StackFormat] | Mapping[str, TableFormat]) -> dict[str, str]:
    """Return the titles of the formats that can be written here and that the page offers."""
    return {name: each.title for name, each in formats.items() if each.title and not each.lacking()}


FORMATS: Mapping[str, ExportFormat] = discovered(__name__, __path__, "FORMATS")
STACKS: Mapping[str, StackFormat] = MappingProxyType(
    {name: each for name, each in FORMATS.items() if isinstance(each, StackFormat)}
)
TABLES: Mapping[str, TableFormat] = MappingProxyType(
    {name: each for name, each in FORMATS.items() if isinstance(each, TableFormat)}
)
COMPARISONS: Mapping[str, ComparisonFormat] = MappingProxyType(
    {each.name: each for each in map(of_comparisons, FORMATS.values()) if each}
)
