"""Generated files that need the commands and the API: their reference, and the page's types."""

from collections.abc import Collection, Iterator, Mapping

import click

from kscope.cli.described import (
    Described,
    argument,
    choices,
    commands,
    default,
    paragraphs,
    takes,
)
from kscope.cli.errorreference import error_reference
from kscope.cli.httpreference import http_reference
from kscope.cli.metricsreference import metrics_reference
from kscope.config import config_schema
from kscope.declare.model import Catalog
from kscope.generate.logger_module import logger_module
from kscope.generate.reference import table
from kscope.generate.render import SHARED, json_file, notice, page
from kscope.generate.typescript import typescript
from kscope.server.openapi.components import ANSWERS, components

# The probe that is the example in the pages.
_EXAMPLE = "offcputime"
_OPTION_HEAD = ("option", "value", "description", "default")
_Row = tuple[str, str, str, str]
_TYPES = "web/generated/types.ts"
_SETTINGS = "schema/kernelscope.schema.json"
_LOGGER = "packaging/kscope_logger.py"
# Files that are made only where there is what reads them, or what they are made of.
READ_BY = {_TYPES: "web/src", _SETTINGS: "kernelscope.yaml", _LOGGER: "kscope/client"}


def pages(group: click.Command, catalog: Catalog) -> Mapping[str, str]:
    """Relative path -> text. `group` has all commands, `catalog` is the built-in one."""
    example = catalog.get(_EXAMPLE)
    assert example is not None
    return {
        _TYPES: f"// {notice('kscope/query/answers')}\n\n{typescript(components(ANSWERS))}",
        _SETTINGS: json_file("kscope/config.py", config_schema()),
        _LOGGER: logger_module(notice("kscope/client")),
        f"{SHARED}/cli.md": page("kscope/cli", "\n".join([*_commands(group, catalog), ""])),
        f"{SHARED}/errors.md": page("kscope/server", error_reference()),
        f"{SHARED}/http.md": page("kscope/server", http_reference(example)),
        f"{SHARED}/metrics.md": page("kscope/server", metrics_reference()),
        f"{SHARED}/probes.md": page("kscope/cli", "\n".join([*_probes(catalog), ""])),
    }


def _commands(group: click.Command, catalog: Catalog) -> Iterator[str]:
    yield from (
        "# Commands",
        "",
        "Exit codes: 0 success; 1 failure, and the last line says why; 2 a category file, the",
        "configuration, a command or an option is wrong; 130 interrupted by Ctrl-C (0 for",
        "`kscope agent` and `kscope serve`). `--help` shows the same text for each command.",
        "The flags of each probe are on [a separate page](probes.md).",
    )
    for each in commands(group, catalog, ()):
        yield from _command(each)


def _probes(catalog: Catalog) -> Iterator[str]:
    """Yield the flags of `kscope agent` for each probe: those of all probes once."""
    # Imported late, as the command itself.
    from kscope.cli.agent import command_of, tables  # noqa: PLC0415
    from kscope.cli.probeflags import sending, targets  # noqa: PLC0415

    shared = [_row(option) for option in (*targets(), *sending())]
    yield from (
        "# Flags of the probes",
        "",
        "`kscope agent NAME` takes the flags of all probes and those of the probe NAME.",
        "`kscope agent NAME --help` prints the same. In `kernelscope.yaml` a probe's options have",
        "the same names, under `agent.probes.NAME`. [The probes](../probes.md) says what each",
        "needs, and how it differs from bcc's tool.",
        "",
        "## Flags of all probes",
        "",
        *table(_OPTION_HEAD, shared),
    )
    for name in tables(catalog):
        described = Described(("kscope", "agent", name), command_of(catalog, name))
        yield from _command(described, shared)


def _command(described: Described, known: Collection[_Row] = ()) -> Iterator[str]:
    """Yield a command's help; options that are in `known` are left out."""
    name = " ".join(described.words)
    words = [name, "[OPTION]...", *map(argument, described.arguments), described.after]
    usage = " ".join(filter(None, words))
    yield from ("", f"## `{name}`", "", f"    {usage}", "", *_prose(described.command.help or ""))
    rows = map(_row, described.options)
    if own := [row for row in rows if row not in known]:
        yield ""
        yield from table(_OPTION_HEAD, own)


def _prose(text: str) -> Iterator[str]:
    """Yield the lines; a paragraph that click does not wrap is code."""
    for index, (as_it_is, lines) in enumerate(paragraphs(text)):
        if index:
            yield ""
        yield from (f"    {line}" for line in lines) if as_it_is else lines


def _row(option: click.Option) -> _Row:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    values = " ".join(f"`{each}`" for each in choices(option)) or takes(option)
    shown = default(option)
    return names, values, option.help or "", f"`{shown}`" if shown else ""
