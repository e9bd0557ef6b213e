"""The flags of `kscope agent` and of each of its probes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kscope.config import parse_share
from kscope.declare import units
from kscope.declare.options import exclusive_problem, option_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kscope.declare.model import Alias, Category, Option

BUNDLED = "bundled"
# What is done with rows in place of sending them, and where they come from in place of the kernel.
_INSTEAD = ("folded", "json", "record", "replay")
_TARGETS = ("pid", "tid", "children", "cgroup")
_LONGEST = 366 * 86400.0


class _Seconds(click.ParamType[float]):
    """A length of time in seconds: 90, 500ms, 1.5s, 10m, 1h30m."""

    name = "duration"

    def __init__(self, least: float) -> None:
        self.min = least

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            length = units.span(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not self.min <= length <= _LONGEST:
            self.fail(f"'{value}' is not between {self.min:g} seconds and 366 days", param, ctx)
        return length


SECONDS = _Seconds(0.1)


def _share(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    try:
        return None if value is None else parse_share(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def sending(command: Callable[..., Any]) -> Callable[..., Any]:
    """Flags about where rows go, which the group and each probe share."""
    for decorate in reversed(
        (
            click.option(
                "--server", "--logger", metavar="URL", help="the server's ingest listener"
            ),
            click.option("--token-file", type=click.Path(path_type=Path)),
            click.option("--hostname", help="the name to send rows under"),
            click.option(
                "--interval", type=SECONDS, help="time from drain to drain, such as 10s or 1m [60s]"
            ),
            click.option(
                "--spool", type=click.Path(path_type=Path), help="where batches wait for the server"
            ),
            click.option(
                "--max-overhead",
                metavar="PERCENT",
                callback=_share,
                help="share of the host's CPU time that a probe may take, such as 1%",
            ),
            click.option(
                "--until-eof", is_flag=True, help="end when standard input does, as a pipe's other "
                "end does with whoever held it"
            ),
            click.option("-v", "--verbose", is_flag=True),
        )
    ):  # fmt: skip
        command = decorate(command)
    return command


def of_option(option: Option, aliases: Sequence[Alias] = ()) -> click.Option:
    """Return the option's flag, with the other flags that stand for it."""
    more = [flag_text(each.flag) for each in aliases if each.option == option.name and plain(each)]
    if isinstance(option.default, bool):
        return click.Option(
            [*more, f"--{option.name}/--no-{option.name}", dest(option)],
            default=bool(option.default),
            help=option.help,
        )

    def read(ctx: click.Context, param: click.Parameter, value: str) -> Any:
        try:
            return option_value(option, value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None

    return click.Option(
        [*more, f"--{option.name}", dest(option)],
        type=click.Choice(list(option.choices)) if option.choices else str,
        metavar=None if option.choices else option.type.name.upper(),
        callback=read,
        default=option.default,
        show_default=True,
        help=option.help,
    )


def dest(option: Option) -> str:
    return dest_of(option.name)


def flag_text(flag: str) -> str:
    """Write a letter with one dash, a name with two."""
    return f"-{flag}" if len(flag) == 1 else f"--{flag}"


def plain(alias: Alias) -> bool:
    """Whether the alias takes what its option takes."""
    return alias.value is None and not alias.values


def dest_of(name: str) -> str:
    return "option_" + name.replace("-", "_")


def with_aliases(option: click.Option, aliases: Sequence[Alias]) -> click.Option:
    """Let further flags stand for one of the flags of every probe."""
    found = (each.flag for each in aliases if plain(each) and each.option == option.name)
    option.opts.extend(map(flag_text, found))
    return option


def targets() -> list[click.Option]:
    positive = click.IntRange(1)
    return [
        click.Option(["-p", "--pid"], type=positive, help="trace only this process"),
        click.Option(["-t", "--tid"], type=positive, help="trace only this thread"),
        click.Option(["--children"], is_flag=True, help="and the processes that --pid starts"),
        click.Option(["--cgroup"], default="", help="trace only this cgroup (v2 folder)"),
        click.Option(["--duration"], type=SECONDS, help="end after this time, such as 90 or 10m"),
        click.Option(["-f", "--folded"], is_flag=True, help="print folded stacks; needs no server"),
        click.Option(["--json", "as_json"], is_flag=True, help="print rows; needs no server"),
        click.Option(["--record"], type=click.Path(path_type=Path), help="write a recording"),
        click.Option(
            ["--replay"], metavar="FILE", help=f"play a recording ('{BUNDLED}': ours) instead"
        ),
        click.Option(
            ["--history"], type=_Seconds(0), default=0.0, help="seconds that --replay begins with"
        ),
    ]


def check_together(category: Category, flags: Mapping[str, Any]) -> None:
    """Raise UsageError for flags of which one would be ignored beside the other."""
    given = [f"--{name}" for name in _INSTEAD if flags["as_json" if name == "json" else name]]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other")
    limits = [f"--{name}" for name in _TARGETS if flags[name]]
    if flags["replay"] and limits:
        raise click.UsageError(f"--replay plays all that was recorded, whatever {limits[0]} says")
    if flags["history"] and not flags["replay"]:
        raise click.UsageError("--history goes with --replay")
    if flags["children"] and not flags["pid"]:
        raise click.UsageError("--children goes with --pid")
    assert category.probe
    options = {option.name: flags[dest(option)] for option in category.probe.options}
    if problem := exclusive_problem(options):
        raise click.UsageError(problem)
