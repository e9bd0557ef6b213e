"""`kscope agent`: run probes and send what they see."""

from __future__ import annotations

import json
import logging
import queue
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kscope.agent.agent import Agent, Delivery
from kscope.agent.engines.base import Target
from kscope.agent.folded import folded_lines
from kscope.agent.health import TABLE as HEALTH
from kscope.agent.plan import Wishes, engine, live_plan, probe_category, replay_plan
from kscope.agent.recording import Recorder
from kscope.agent.runner import Plan
from kscope.config import DEFAULT_FILE, Settings, chosen_settings
from kscope.declare.catalog import BUILTIN, load_catalog
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kscope.agent.engines.base import Engine
    from kscope.declare.model import Catalog, Category, Option

log = logging.getLogger(__name__)
BUNDLED = "bundled"
_LOOK_EVERY = 1.0  # seconds between looks at the files


class ProbeGroup(click.Group):
    """A command for each category with a probe, its flags made from the category's options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(c.table for c in _catalog(_settings(ctx.params.get("config"))) if c.probe)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        catalog = _catalog(_settings(ctx.params.get("config")))
        return _command(probe_category(catalog, cmd_name))


def _share(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """`1%`, `0.5%`: as a share."""
    try:
        share = float(value.removesuffix("%")) / 100
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise click.BadParameter(f"'{value}' is not a share such as 1%", ctx, param)
    return share


def _sending(command: Callable[..., Any]) -> Callable[..., Any]:
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
                default="0%",
                help="share of the host's CPU time that a probe may take, such as 1%",
            ),
            click.option("-v", "--verbose", is_flag=True),
        )
    ):
        command = decorate(command)
    return command


@click.group(cls=ProbeGroup, invoke_without_command=True)
@click.option(
    "--config", type=click.Path(path_type=Path, exists=True), help="[./kernelscope.yaml if there]"
)
@_sending
@click.pass_context
def agent(ctx: click.Context, /, config: Path | None, **flags: Any) -> None:
    """Run a probe, or without a name those of the configuration, and send what they see.

    Those are the ones it lists, and each one in a folder of categories of your own: a file that is
    dropped there runs at once. SIGTERM drains, sends and ends; SIGHUP reads everything again.
    """
    if ctx.invoked_subcommand:
        ctx.obj = flags
        return
    _run(
        lambda: _configured(_settings(config), flags),
        flags["verbose"],
        signature=lambda: _signature(config),
    )


Parts = tuple[list[Plan], Delivery, "Category | None"]


def _configured(settings: Settings, flags: Mapping[str, Any]) -> Parts:
    catalog = _catalog(settings)
    hostname = flags["hostname"] or socket.gethostname()
    wanted = {**{name: {} for name in _own_probes(settings, catalog)}, **settings.agent.probes}
    plans = []
    for name, options in wanted.items():
        wishes = Wishes(
            options=options,
            interval=flags["interval"] or settings.agent.interval,
            max_overhead=flags["max_overhead"],
            hostname=hostname,
        )
        plans.append(live_plan(probe_category(catalog, name), wishes))
    return plans, _delivery(settings, flags, hostname), catalog.get(HEALTH)


def _own_folders(settings: Settings) -> list[Path]:
    return [Path(folder) for folder in settings.categories if folder != BUILTIN]


def _own_probes(settings: Settings, catalog: Catalog) -> list[str]:
    folders = set(_own_folders(settings))
    return [c.table for c in catalog if c.probe and Path(c.file).parent in folders]


def _signature(config: Path | None) -> list[tuple[str, int, int]]:
    """Changes when a file changes that says what to run."""
    config = config or DEFAULT_FILE
    files = [config]
    with suppress(KscopeError):
        for folder in _own_folders(_settings(config if config.exists() else None)):
            files += [*folder.glob("*.y*ml"), *(folder.parent / "probes").glob("*.bpf.c")]
    found = []
    for file in files:
        with suppress(OSError):
            stat = file.stat()
            found.append((str(file), stat.st_mtime_ns, stat.st_size))
    return sorted(found)


def _command(category: Category) -> click.Command:
    def run(**flags: Any) -> None:
        _run_probe(category.table, flags)

    command = _sending(run)
    assert category.probe
    params = [_flag(option) for option in category.probe.options]
    return click.Command(
        category.table,
        callback=run,
        params=[*params, *_targets(), *reversed(getattr(command, "__click_params__", []))],
        help=f"{category.prettyname}: {category.description}",
    )


def _flag(option: Option) -> click.Option:
    kinds: dict[str, Any] = {"bool": bool, "float": float, "string": str, "label": str, "ip": str}
    kind: Any = kinds.get(option.type.name, int)
    if option.choices:
        kind = click.Choice(list(option.choices))
    elif (option.least, option.most) != (None, None):
        kind = click.IntRange(option.least, option.most)
    if kind is bool:
        return click.Option(
            [f"--{option.name}/--no-{option.name}", _dest(option)],
            default=bool(option.default),
            help=option.help,
        )
    return click.Option(
        [f"--{option.name}", _dest(option)],
        type=kind,
        default=option.default,
        show_default=True,
        help=option.help,
    )


def _dest(option: Option) -> str:
    return "option_" + option.name.replace("-", "_")


def _targets() -> list[click.Option]:
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


def _run_probe(name: str, flags: dict[str, Any]) -> None:
    context = click.get_current_context()
    outer = context.obj or {}
    flags |= {flag: value for flag, value in outer.items() if value and not flags.get(flag)}
    config = context.parent.params.get("config") if context.parent else None
    if flags["folded"] or flags["as_json"] or flags["record"]:
        settings = _settings(config)
        category = probe_category(_catalog(settings), name)
        _print_rows(category, _wishes(category, settings, flags), flags)
    else:
        _run(lambda: _probe_parts(name, config, flags), flags["verbose"], flags["duration"])


def _probe_parts(name: str, config: Path | None, flags: Mapping[str, Any]) -> Parts:
    settings = _settings(config)
    catalog = _catalog(settings)
    category = probe_category(catalog, name)
    wishes = _wishes(category, settings, flags)
    if not flags["replay"]:
        delivery = _delivery(settings, flags, wishes.hostname)
        return [live_plan(category, wishes)], delivery, catalog.get(HEALTH)
    path = None if flags["replay"] == BUNDLED else Path(flags["replay"])
    plan = replay_plan(category, path, wishes)
    return [plan], _delivery(settings, flags, plan.hostname), None


def _wishes(category: Category, settings: Settings, flags: Mapping[str, Any]) -> Wishes:
    assert category.probe
    return Wishes(
        options={option.name: flags[_dest(option)] for option in category.probe.options},
        target=_target(flags),
        interval=flags["interval"] or settings.agent.interval,
        max_overhead=flags["max_overhead"],
        history=flags["history"],
        hostname=flags["hostname"] or ("" if flags["replay"] else socket.gethostname()),
    )


def _target(flags: Mapping[str, Any]) -> Target:
    if flags["children"] and not flags["pid"]:
        raise KscopeError("--children goes with --pid")
    if flags["pid"] and not Path(f"/proc/{flags['pid']}").exists():
        raise KscopeError(f"there is no process {flags['pid']}")
    return Target(flags["pid"] or 0, flags["tid"] or 0, flags["children"], flags["cgroup"])


def _delivery(settings: Settings, flags: Mapping[str, Any], hostname: str) -> Delivery:
    token_file = flags["token_file"] or settings.agent.token_file
    try:
        token = token_file.read_text(encoding="utf-8").strip() if token_file else ""
    except OSError as error:
        raise KscopeError(f"{token_file}: {error.strerror}") from None
    return Delivery(
        server=flags["server"] or settings.agent.server,
        hostname=hostname,
        token=token,
        spool=flags["spool"] or settings.agent.spool,
    )


def _run(
    parts: Callable[[], Parts],
    verbose: bool,  # noqa: FBT001
    duration: float | None = None,
    signature: Callable[[], object] = lambda: None,
) -> None:
    """Until a signal says to end, or for `duration` seconds; SIGHUP reads everything again, as does
    a change of `signature`.
    """
    _set_up_logging(verbose)
    caught = _catch_signals()
    running = Agent(*parts())
    running.start()
    end = float("inf")
    if duration:
        running.wait_until_started()
        end = time.monotonic() + duration
    while (number := _next_signal(caught, end, signature)) == signal.SIGHUP:
        try:
            changed = parts()
        except KscopeError as error:
            # A configuration that has become bad must not end an agent that works.
            log.warning("not reloaded: %s", error)
            continue
        running.stop()
        running = Agent(*changed)
        running.start()
        log.info("reloaded")
    running.stop()
    if not number and all(probe.failure for probe in running.probes):
        raise KscopeError("no probe could run")


def _set_up_logging(verbose: bool) -> None:  # noqa: FBT001
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(levelname)s %(message)s",
        stream=sys.stderr,
    )


def _catch_signals() -> queue.SimpleQueue[int]:
    caught: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: caught.put(number))
    return caught


def _next_signal(
    caught: queue.SimpleQueue[int], end: float, signature: Callable[[], object]
) -> int:
    """The next signal, or 0 when the time is up; what has changed counts as SIGHUP."""
    before = signature()
    while (left := end - time.monotonic()) > 0:
        try:
            return caught.get(timeout=min(left, _LOOK_EVERY))
        except queue.Empty:
            if signature() != before:
                return signal.SIGHUP
    return 0


def _print_rows(category: Category, wishes: Wishes, flags: Mapping[str, Any]) -> None:
    """Without a server: trace for --duration seconds, or until Ctrl-C, and print."""
    _set_up_logging(flags["verbose"])
    caught = _catch_signals()
    running = engine(category, wishes)
    running.start()
    log.debug("%s: probe running", category.table)
    end = time.monotonic() + (flags["duration"] or float("inf"))
    try:
        if flags["record"]:
            _record(running, category, wishes, flags["record"], lambda: _ended(caught, end))
            return
        while not _ended(caught, end):
            running.poll(0.1)
        rows = running.drain().rows
    finally:
        running.close()
    if flags["as_json"]:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    else:
        for line in folded_lines(category, rows):
            click.echo(line)


def _ended(caught: queue.SimpleQueue[int], end: float) -> bool:
    return not caught.empty() or time.monotonic() >= end


def _record(
    running: Engine, category: Category, wishes: Wishes, path: Path, ended: Callable[[], bool]
) -> None:
    recorder = Recorder(path, category, wishes.hostname, wishes.interval)
    began = time.monotonic()
    due = began + wishes.interval
    while not ended():
        running.poll(0.1)
        if time.monotonic() >= due:
            recorder.add(due - began, running.drain().rows)
            due += wishes.interval
    recorder.close()


def _settings(config: Path | None) -> Settings:
    return chosen_settings(Path(config) if config else None)


def _catalog(settings: Settings) -> Catalog:
    return load_catalog(settings.categories)
