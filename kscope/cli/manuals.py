"""Manual pages of all commands and of the configuration's file."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import click

from kscope import __version__
from kscope.cli import COMMANDS, roff
from kscope.cli.agent import tables
from kscope.cli.described import (
    Described,
    argument,
    choices,
    commands,
    default,
    paragraphs,
    takes,
)
from kscope.config import config_schema
from kscope.declare.model import Catalog

# Of a sentence about a command, so that click does not cut it.
_ENDLESS = 1000
_PRODUCT = f"Kernelscope {__version__}"
_SETTINGS = "kernelscope.yaml"
_PLACEHOLDERS = {"number": "NUMBER", "path": "FILE", "duration": "DURATION"}
_EXITS = {
    "0": "Success.",
    "1": "Failure; the last line of standard error says why.",
    "2": "A category file, the configuration, a command or an option is wrong.",
    "130": "Ctrl-C interrupted the command; 0 for `kscope agent` and `kscope serve`.",
}
_VARIABLES = {
    "KSCOPE_TOKEN": "The token, if neither `--token-file` nor the configuration names a file.",
    "SSL_CERT_FILE": "The certificates that are trusted, if the configuration names none.",
    "XDG_STATE_HOME": "The folder in which the spool of rows is, instead of `~/.local/state`.",
}
_FILES = {
    "./kernelscope.yaml": "The configuration, if `--config` names no other.",
    "/etc/kernelscope/agent.yaml": "The configuration of an agent that is a service.",
    "/etc/kernelscope/server.yaml": "The configuration of a server that is a service.",
}


def manuals(group: click.Command, catalog: Catalog, day: str) -> Mapping[str, str]:
    """Return the text of each page by its file's name, such as `kscope-agent.1`.

    `group` has all commands; the catalog's probes have pages, too. The pages show `day`.
    """
    found = [*commands(group, catalog, tables(catalog))]
    names = ["-".join(each.words) for each in found]
    pages = {
        f"{name}.1": _command(each, names, day) for name, each in zip(names, found, strict=True)
    }
    pages["kscope.1"] = _overview(group, day)
    pages[f"{_SETTINGS}.5"] = _configuration(day)
    return {name: "\n".join([*lines, ""]) for name, lines in pages.items()}


def _start(name: str, section: int, day: str, does: str) -> Iterator[str]:
    yield r".\" Made by packaging/manuals: edit the texts of the commands, not this."
    yield roff.header(name, section, day, _PRODUCT)
    yield ".SH NAME"
    yield rf"{roff.exact(name)} \- {roff.exact(does.rstrip('.'))}"


def _overview(group: click.Command, day: str) -> Iterator[str]:
    yield from _start("kscope", 1, day, group.get_short_help_str(_ENDLESS))
    yield from (
        ".SH SYNOPSIS",
        rf"{roff.bold('kscope')} {roff.slanted('COMMAND')} [\fIOPTION\fR]...",
    )
    yield from (".SH DESCRIPTION", *_prose(group.help or ""))
    yield from roff.prose("`kscope COMMAND --help` shows the options of a command.")
    yield ".SH COMMANDS"
    for name, each in sorted(COMMANDS.items()):
        yield from roff.item(_page(f"kscope-{name}", 1), each.does)
    for title, entries in (
        ("EXIT STATUS", _EXITS),
        ("ENVIRONMENT", _VARIABLES),
        ("FILES", _FILES),
    ):
        yield f".SH {title}"
        for term, text in entries.items():
            yield from roff.item(roff.bold(term), text)
    yield from (".SH SEE ALSO", _page(_SETTINGS, 5))


def _command(described: Described, names: list[str], day: str) -> Iterator[str]:
    name = "-".join(described.words)
    command = described.command
    yield from _start(name, 1, day, command.get_short_help_str(_ENDLESS))
    yield ".SH SYNOPSIS"
    words = [
        r"[\fIOPTION\fR]...",
        *map(_slot, [*map(argument, described.arguments), described.after]),
    ]
    yield " ".join([roff.bold(" ".join(described.words)), *filter(None, words)])
    texts = filter(None, [command.help, inspect.cleandoc(command.epilog or "")])
    yield from (".SH DESCRIPTION", *_prose("\n\n".join(texts)))
    if described.options:
        yield ".SH OPTIONS"
        for option in described.options:
            yield from _option(option)
    above, below = name.rpartition("-")[0], [each for each in names if each.startswith(f"{name}-")]
    pages = [_page(each, 1) for each in sorted([above, *below])]
    yield from (".SH SEE ALSO", *(f"{each}," for each in pages), _page(_SETTINGS, 5))


def _slot(name: str) -> str:
    return roff.slanted(name) if name else ""


def _page(name: str, section: int) -> str:
    return f"{roff.bold(name)}({section})"


def _prose(text: str) -> Iterator[str]:
    for index, (as_it_is, lines) in enumerate(paragraphs(text)):
        yield from [".PP"] if index else []
        yield from roff.example(lines) if as_it_is else roff.prose(" ".join(lines))


def _option(option: click.Option) -> Iterator[str]:
    names = ", ".join(map(roff.bold, [*option.opts, *option.secondary_opts]))
    kind = takes(option)
    placeholder = _placeholder(option, kind)
    text = option.help or ""
    if possible := choices(option):
        text += f"\nOne of {', '.join(f'`{each}`' for each in possible)}."
    elif kind and not option.metavar and " " in kind:
        text += f"\nA {kind}."
    if shown := default(option):
        text += f"\nDefault: {shown}."
    yield from roff.item(f"{names} {placeholder}".strip(), _sentences(text))


def _sentences(text: str) -> str:
    """Return the lines with a period after each, so that they can follow one another."""
    lines = (line.strip() for line in text.split("\n"))
    starts = (line[:1].upper() + line[1:] for line in lines)
    return " ".join(line if line.endswith((".", "]")) else f"{line}." for line in starts if line)


def _placeholder(option: click.Option, kind: str) -> str:
    if option.is_flag:
        return ""
    word = option.metavar or _PLACEHOLDERS.get(kind.partition(" ")[0], "VALUE")
    return roff.slanted("NAME" if choices(option) else word)


def _configuration(day: str) -> Iterator[str]:
    schema = config_schema()
    yield from _start(_SETTINGS, 5, day, "settings of a Kernelscope server and agent")
    yield ".SH DESCRIPTION"
    yield from roff.prose(
        "`kscope serve` and `kscope agent` read `kernelscope.yaml` from the working folder, or the "
        "file that `--config` names. All settings can be left out. Paths are relative to the file. "
        "If it has errors, the command prints all of them and exits with 2."
    )
    yield ".PP"
    yield from roff.prose(
        "A point stands for a level: `agent.server` is `server` under `agent`. `[]` is each entry "
        "of a list, and `NAME` any name."
    )
    yield ".SH SETTINGS"
    for path, each in _settings("", schema):
        kind = " or ".join(_kinds(each))
        yield from roff.item(f"{roff.bold(path)} ({kind})", _described(each))
    yield from (".SH SEE ALSO", f"{_page('kscope-agent', 1)},", _page("kscope-serve", 1))


def _settings(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each setting that is no group of others, and its schema."""
    schema = schema.get("anyOf", [schema])[0]
    inner = schema.get("properties", {})
    for name, each in inner.items():
        yield from _settings(f"{path}.{name}" if path else name, each)
    if isinstance(any_name := schema.get("additionalProperties"), Mapping):
        yield from _settings(f"{path}.NAME", any_name)
    elif "properties" in (items := schema.get("items", {})):
        yield from _settings(f"{path}[]", items)
    elif not inner:
        yield path, schema


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    kinds = schema.get("type", "any")
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _described(schema: Mapping[str, Any]) -> str:
    text = schema.get("description", "")
    values = schema.get("enum") or schema.get("items", {}).get("enum") or []
    if values:
        text += f"\nOne of {', '.join(f'`{each}`' for each in values)}."
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None:
        text += f"\nFrom {least}{'' if most is None else f' to {most}'}."
    return _sentences(text)
