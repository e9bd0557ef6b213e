"""Generated files that need the commands and the API: their reference, and the page's types."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import click

from kscope.cli.errorreference import error_reference
from kscope.cli.httpreference import http_reference
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
_NO_WRAP = "\b"
_TYPES = "web/generated/types.ts"
_SETTINGS = "schema/kernelscope.schema.json"
_LOGGER = "packaging/kscope_logger.py"
# Files that are made only where there is what reads them, or what they are made of.
READ_BY = {_TYPES: "web/src", _SETTINGS: "kernelscope.yaml", _LOGGER: "kscope/client"}


def pages(group: click.Command, catalog: Catalog) -> Mapping[str, str]:
    """Relative path -> text. `group` has all commands, `catalog` is the built-in one."""
    example = catalog.get(_EXAMPLE)
    assert isinstance(group, click.Group)
    assert example is not None
    return {
        _TYPES: f"// {notice('kscope/query/answers')}\n\n{typescript(components(ANSWERS))}",
        _SETTINGS: json_file("kscope/config.py", config_schema()),
        _LOGGER: logger_module(notice("kscope/client")),
        f"{SHARED}/cli.md": page("kscope/cli", "\n".join([*_commands(group), ""])),
        f"{SHARED}/errors.md": page("kscope/server", error_reference()),
        f"{SHARED}/http.md": page("kscope/server", http_reference(example)),
        f"{SHARED}/probes.md": page("kscope/cli", "\n".join([*_probes(catalog), ""])),
    }


def _commands(group: click.Group) -> Iterator[str]:
    yield from (
        "# Commands",
        "",
        "Exit codes: 0 success; 1 failure, and the last line says why; 2 a category file, the",
        "configuration, a command or an option is wrong; 130 interrupted by Ctrl-C (0 for",
        "`kscope agent` and `kscope serve`). `--help` shows the same text for each command.",
        "The flags of each probe are on [a separate page](probes.md).",
    )
    context = click.Context(group, info_name="kscope")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from _command(f"kscope {name}", command)
        for each, inner in getattr(command, "commands", {}).items():
            yield from _command(f"kscope {name} {each}", inner)


def _probes(catalog: Catalog) -> Iterator[str]:
    """Yield the flags of `kscope agent` for each probe: those of all probes once."""
    # Imported late, as the command itself.
    from kscope.cli.agent import probe_command, union_command  # noqa: PLC0415
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
    for category in sorted(catalog, key=lambda each: each.table):
        if category.probe:
            yield from _command(f"kscope agent {category.table}", probe_command(category), shared)
        elif category.union:
            yield from _command(f"kscope agent {category.table}", union_command(category), shared)


def _command(name: str, command: click.Command, known: Collection[_Row] = ()) -> Iterator[str]:
    """Yield a command's help; options that are in `known` are left out."""
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    rows = [_row(p) for p in command.params if isinstance(p, click.Option)]
    usage = " ".join([name, "[OPTION]...", *map(_argument, arguments)])
    if isinstance(command, click.Group):
        usage += " COMMAND" if command.commands else " [PROBE]"
    yield from ("", f"## `{name}`", "", f"    {usage}", "", *_prose(command.help or ""))
    if own := [row for row in rows if row not in known]:
        yield ""
        yield from table(_OPTION_HEAD, own)


def _prose(text: str) -> Iterator[str]:
    """Yield the lines; a paragraph that click does not wrap is code."""
    for index, part in enumerate(text.strip().split("\n\n")):
        lines = [line.strip() for line in part.splitlines()]
        if index:
            yield ""
        if lines[0] == _NO_WRAP:
            yield from (f"    {line}" for line in lines[1:])
        else:
            yield from lines


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _row(option: click.Option) -> _Row:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    given = option.default
    default = " ".join(given) if isinstance(given, (list, tuple)) else given
    shown = option.show_default and default not in (None, "")
    return names, _takes(option), option.help or "", f"`{default}`" if shown else ""


def _takes(option: click.Option) -> str:
    kind: Any = option.type
    if option.is_flag:
        return ""
    if isinstance(kind, click.Choice):
        return " ".join(f"`{choice}`" for choice in kind.choices)
    if option.metavar:
        return option.metavar
    least, most = (getattr(kind, name, None) for name in ("min", "max"))
    if kind.name == "duration":
        return f"duration from {kind.min:g} s"
    number = isinstance(kind, (click.types.IntParamType, click.types.FloatParamType))
    text = "number" if number else str(kind.name)
    text += f" from {least}" if least is not None else ""
    return text + (f" to {most}" if most is not None else "")
