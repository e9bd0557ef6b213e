"""The flags of `kscope agent` and of each of its probes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kscope.config import parse_share
from kscope.declare.options import option_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from kscope.declare.model import Option

BUNDLED = "bundled"


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
            click.option("--token-file", type=click.Path(path_type=Path, exists=True)),
            click.option("--hostname", help="the name to send rows under"),
            click.option(
                "--interval", type=click.FloatRange(0.1), help="seconds from drain to drain [60]"
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


def of_option(option: Option) -> click.Option:
    if option.type.name == "bool":
        return click.Option(
            [f"--{option.name}/--no-{option.name}", dest(option)],
            default=bool(option.default),
            help=option.help,
        )

    def read(ctx: click.Context, param: click.Parameter, value: str) -> Any:
        try:
            return option_value(option, value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None

    return click.Option(
        [f"--{option.name}", dest(option)],
        type=click.Choice(list(option.choices)) if option.choices else str,
        metavar=None if option.choices else option.type.name.upper(),
        callback=read,
        default=option.default,
        show_default=True,
        help=option.help,
    )


def dest(option: Option) -> str:
    return "option_" + option.name.replace("-", "_")


def targets() -> list[click.Option]:
    positive = click.IntRange(1)
    return [
        click.Option(["-p", "--pid"], type=positive, help="trace only this process"),
        click.Option(["-t", "--tid"], type=positive, help="trace only this thread"),
        click.Option(["--children"], is_flag=True, help="and the processes that --pid starts"),
        click.Option(["--cgroup"], default="", help="trace only this cgroup (v2 folder)"),
        click.Option(["--duration"], type=click.FloatRange(0.1), help="end after so many seconds"),
        click.Option(["--folded"], is_flag=True, help="print folded stacks; needs no server"),
        click.Option(["--json", "as_json"], is_flag=True, help="print rows; needs no server"),
        click.Option(["--record"], type=click.Path(path_type=Path), help="write a recording"),
        click.Option(
            ["--replay"], metavar="FILE", help=f"play a recording ('{BUNDLED}': ours) instead"
        ),
        click.Option(
            ["--history"], type=float, default=0.0, help="seconds that --replay begins with"
        ),
    ]
