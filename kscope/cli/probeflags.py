"""The flags of `kscope agent` and of each of its probes."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import click

from kscope.cli.options import FILE, SECONDS, Seconds, files_of
from kscope.config import LOG_FORMATS, parse_share
from kscope.declare.model import Alias, Category, Option
from kscope.declare.values import exclusive_problem, option_value

_Flags = tuple[tuple[str, str, dict[str, Any]], ...]

BUNDLED = "bundled"
# Flags that replace sending rows, or recording them.
_INSTEAD = ("folded", "json", "record", "replay")
_TARGETS = ("pid", "tid", "children", "cgroup")


def _converted(convert: Callable[[str], Any]) -> Callable[..., Any]:
    """Return a click callback that refuses a value for which `convert` raises ValueError."""

    def read(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else convert(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None

    return read


_POSITIVE = click.IntRange(1)
_SWITCH = {"is_flag": True}
_PLAYED = {"metavar": "FILE", "shell_complete": lambda *given: files_of(given[-1])}
_SHARE = {"metavar": "PERCENT", "callback": _converted(parse_share)}
_SENDING: _Flags = (
    ("--server --logger", "ingest address of the server", {"metavar": "URL"}),
    ("--token-file", "file that contains the token [$KSCOPE_TOKEN]", {"type": FILE}),
    ("--hostname", "host name to send rows under", {}),
    ("--interval", "time between drains, such as 10s or 1m [60s]", {"type": SECONDS}),
    ("--spool", "folder for batches that wait for the server", {"type": FILE}),
    ("--max-overhead", "limit of a probe's share of the host's CPU time, such as 1%", _SHARE),
    ("--until-eof", "stop when standard input ends, as a pipe does with its writer", _SWITCH),
    ("-v --verbose", "log more", _SWITCH),
    ("--log-format", "form of the lines of the log [text]", {"type": click.Choice(LOG_FORMATS)}),
)
_LIMITS: _Flags = (
    ("-p --pid", "trace only this process", {"type": _POSITIVE}),
    ("-t --tid", "trace only this thread", {"type": _POSITIVE}),
    ("--children", "also trace the processes that --pid starts", _SWITCH),
    ("--cgroup", "trace only this cgroup (a cgroup v2 folder)", {"default": ""}),
    ("--duration", "stop after this time, such as 90 or 10m", {"type": SECONDS}),
)
_TRACING: _Flags = (
    *_LIMITS,
    ("-f --folded", "print folded stacks; needs no server", _SWITCH),
    ("--json as_json", "print rows; needs no server", _SWITCH),
    ("--record", "write a recording; needs no server", {"type": FILE}),
    ("--replay", f"play a recording; '{BUNDLED}' is the package's", _PLAYED),
    ("--history", "time before now that --replay starts at", {"type": Seconds(0), "default": 0.0}),
)


def sending() -> list[click.Option]:
    """Return the flags that the group and each probe share."""
    return _made(_SENDING)


def _made(flags: _Flags) -> list[click.Option]:
    return [click.Option(names.split(), help=text, **more) for names, text, more in flags]


def of_option(option: Option, aliases: Sequence[Alias] = ()) -> click.Option:
    """Return the flag of an option, with its aliases."""
    more = [flag_text(each.flag) for each in aliases if each.option == option.name and plain(each)]
    if isinstance(option.default, bool):
        return click.Option(
            [*more, f"--{option.name}/--no-{option.name}", dest(option.name)],
            default=bool(option.default),
            help=option.help,
        )
    return click.Option(
        [*more, f"--{option.name}", dest(option.name)],
        type=click.Choice(list(option.choices)) if option.choices else str,
        metavar=None if option.choices else option.type.name.upper(),
        callback=_converted(partial(option_value, option)),
        default=option.default,
        show_default=True,
        help=option.help,
    )


def flag_text(flag: str) -> str:
    """Return a letter with one dash, a name with two."""
    return f"-{flag}" if len(flag) == 1 else f"--{flag}"


def plain(alias: Alias) -> bool:
    """Return whether the alias takes the same values as its option."""
    return alias.value is None and not alias.values


def dest(name: str) -> str:
    return "option_" + name.replace("-", "_")


def with_aliases(option: click.Option, aliases: Sequence[Alias]) -> click.Option:
    """Add a probe's aliases to one of the flags of every probe."""
    found = (each.flag for each in aliases if plain(each) and each.option == option.name)
    option.opts.extend(map(flag_text, found))
    return option


def targets() -> list[click.Option]:
    """Return the flags of each probe: the threads to trace, for how long, and other outputs."""
    return _made(_TRACING)


def limits() -> list[click.Option]:
    """Return the flags that several probes can share: the threads to trace, and for how long."""
    return _made(_LIMITS)


def check_limits(flags: Mapping[str, Any]) -> None:
    """Raise UsageError if a limit has no effect without another."""
    if flags["children"] and not flags["pid"]:
        raise click.UsageError("--children requires --pid")


def check_together(category: Category, flags: Mapping[str, Any]) -> None:
    """Raise UsageError if one flag would make another one ineffective."""
    given = [f"--{name}" for name in _INSTEAD if flags["as_json" if name == "json" else name]]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other")
    targets = [f"--{name}" for name in _TARGETS if flags[name]]
    if flags["replay"] and targets:
        raise click.UsageError(f"--replay plays the whole recording; remove {targets[0]}")
    if flags["history"] and not flags["replay"]:
        raise click.UsageError("--history requires --replay")
    check_limits(flags)
    assert category.probe
    options = {option.name: flags[dest(option.name)] for option in category.probe.options}
    if problem := exclusive_problem(options):
        raise click.UsageError(problem)
