"""Commands as documents describe them: where each is, and the values of its options."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from kscope.declare.model import Catalog

# Starts a paragraph of help that click does not wrap.
NO_WRAP = "\b"


@dataclass(frozen=True)
class Described:
    """A command, and the words that call it: `kscope`, `spool`, `list`."""

    words: tuple[str, ...]
    command: click.Command

    @property
    def arguments(self) -> list[click.Argument]:
        return [each for each in self.command.params if isinstance(each, click.Argument)]

    @property
    def options(self) -> list[click.Option]:
        return [each for each in self.command.params if isinstance(each, click.Option)]

    @property
    def after(self) -> str:
        """The word that may follow the options of a command that has others in it, or none."""
        if not isinstance(self.command, click.Group):
            return ""
        return "COMMAND" if self.command.commands else "[PROBE]"


def commands(group: click.Command, catalog: Catalog, probes: Iterable[str]) -> Iterator[Described]:
    """Yield all commands of `kscope`, and after `agent` those of the named probes."""
    assert isinstance(group, click.Group)
    context = click.Context(group, info_name="kscope")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield Described(("kscope", name), command)
        for each, inner in getattr(command, "commands", {}).items():
            yield Described(("kscope", name, each), inner)
        if name == "agent":
            # Imported late, as the command itself.
            from kscope.cli.agent import command_of  # noqa: PLC0415

            for table in probes:
                yield Described(("kscope", name, table), command_of(catalog, table))


def paragraphs(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Yield the lines of each paragraph, and whether they stay as they are."""
    for part in text.strip().split("\n\n"):
        lines = [line.strip() for line in part.splitlines()]
        yield (True, lines[1:]) if lines[0] == NO_WRAP else (False, lines)


def argument(each: click.Argument) -> str:
    """Return an argument's name, in brackets if it can be left out."""
    name = each.metavar or (each.name or "").upper()
    return name if each.required or name.startswith("[") else f"[{name}]"


def choices(option: click.Option) -> list[str]:
    """Return the values that can be chosen from; none if others are possible."""
    return [*map(str, option.type.choices)] if isinstance(option.type, click.Choice) else []


def takes(option: click.Option) -> str:
    """Return the kind of value, such as `number from 1`; nothing for a flag or a choice."""
    kind: Any = option.type
    if option.is_flag or choices(option):
        return ""
    if option.metavar:
        return option.metavar
    least, most = (getattr(kind, name, None) for name in ("min", "max"))
    if kind.name == "duration":
        return f"duration from {kind.min:g} s"
    number = isinstance(kind, (click.types.IntParamType, click.types.FloatParamType))
    text = "number" if number else str(kind.name)
    text += f" from {least}" if least is not None else ""
    return text + (f" to {most}" if most is not None else "")


def default(option: click.Option) -> str:
    """Return the default that help shows, or nothing."""
    given = option.default
    text = " ".join(given) if isinstance(given, (list, tuple)) else given
    return str(text) if option.show_default and text not in (None, "") else ""
