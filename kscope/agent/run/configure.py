"""From a category and the user's request to a `ProbeRun`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from kscope.agent.engines import replay
from kscope.agent.engines.base import Engine, TraceFilter
from kscope.agent.run.runner import ProbeRun
from kscope.declare.engines import ENGINES
from kscope.declare.model import Catalog, Category
from kscope.declare.values import option_value
from kscope.errors import KscopeError, UsageError, did_you_mean
from kscope.files import MAX_PROGRAM, UnreadableError, read_text


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """The settings of one probe; `interval` and `history` are in seconds."""

    options: Mapping[str, Any] = field(default_factory=dict)
    trace_filter: TraceFilter = field(default_factory=TraceFilter)
    interval: float = 60.0
    max_overhead: float = 0.0
    history: float = 0.0
    hostname: str = ""


def probe_category(catalog: Catalog, name: str) -> Category:
    category = catalog.get(name)
    if category is None or category.probe is None:
        probes = [c.table for c in catalog if c.probe]
        what = "has no probe" if category else "is not a category"
        near = did_you_mean(name, probes) if category is None else ""
        names = near or f". Those with a probe: {', '.join(probes) or 'none'}."
        raise UsageError(f"'{name}' {what}{names}")
    return category


def live_run(category: Category, request: ProbeRequest) -> ProbeRun:
    """Raises KscopeError for options that the probe does not take."""
    request = replace(request, options=checked_options(category, request.options))
    return ProbeRun(
        category,
        lambda: engine(category, request),
        request.interval,
        request.max_overhead,
        request.hostname,
        source=(request, _program(category)),
    )


def engine(category: Category, request: ProbeRequest) -> Engine:
    """Return a new engine for the category's probe. Other engines are not imported."""
    assert category.probe
    module, _, name = ENGINES[category.probe.engine].implementation.partition(":")
    options = checked_options(category, request.options)
    made: Engine = getattr(import_module(module), name)(category, options, request.trace_filter)
    return made


def checked_options(category: Category, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as the engine takes them. Raises KscopeError for a wrong one."""
    assert category.probe
    known = {option.name: option for option in category.probe.options}
    read = {}
    for name, value in given.items():
        if name not in known:
            have = ", ".join(known) or "none"
            raise KscopeError(f"{category.table}: unknown option '{name}'; it has {have}")
        try:
            read[name] = option_value(known[name], value)
        except ValueError as error:
            raise KscopeError(f"{category.table}: {name}: {error}") from None
    return read


def _program(category: Category) -> bytes:
    """Return the text of the probe's program: if it changes, the probe restarts."""
    path = category.probe.program if category.probe else None
    try:
        return read_text(path, MAX_PROGRAM).encode() if path else b""
    except UnreadableError:
        return b""


def replay_run(category: Category, path: Path | None, request: ProbeRequest) -> ProbeRun:
    """Return a run that plays a recording; without a path, the package's own."""
    path = path or replay.bundled(category.table)
    hostname, intervals = replay.read_recording(path, category)
    name = request.hostname or hostname
    return ProbeRun(
        category,
        lambda: replay.ReplayEngine(intervals, request.history),
        min(request.interval, 10.0),
        hostname=replay.HOSTNAME_PREFIX + name.removeprefix(replay.HOSTNAME_PREFIX),
        at_once=True,
    )
