"""From a category and the user's wishes to a plan that the runner can run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kscope.agent.engines.base import Target
from kscope.agent.recording import Recording, bundled, read_recording
from kscope.agent.runner import Plan
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kscope.agent.engines.base import Engine
    from kscope.declare.model import Catalog, Category, Option


@dataclass(frozen=True, slots=True)
class Wishes:
    """What one probe is asked to do; `interval` and `history` in seconds."""

    options: Mapping[str, Any] = field(default_factory=dict)
    target: Target = field(default_factory=Target)
    interval: float = 60.0
    max_overhead: float = 0.0
    history: float = 0.0
    hostname: str = ""


def probe_category(catalog: Catalog, name: str) -> Category:
    category = catalog.get(name)
    if category is None or category.probe is None:
        names = ", ".join(c.table for c in catalog if c.probe) or "none"
        what = "has no probe" if category else "is not a category"
        raise KscopeError(f"'{name}' {what}; categories with a probe: {names}")
    return category


def live_plan(category: Category, wishes: Wishes) -> Plan:
    return Plan(
        category,
        lambda: engine(category, wishes),
        wishes.interval,
        wishes.max_overhead,
        wishes.hostname,
    )


def engine(category: Category, wishes: Wishes) -> Engine:
    """A new engine for the category's probe; imports no more than that engine needs."""
    assert category.probe
    check_options(category, wishes.options)
    if category.probe.engine == "bcc":
        from kscope.agent.engines.bcc import BccEngine  # noqa: PLC0415

        return BccEngine(category, wishes.options, wishes.target)
    if category.probe.engine == "bpftrace":
        from kscope.agent.engines.bpftrace import BpftraceEngine  # noqa: PLC0415

        return BpftraceEngine(category, wishes.options, wishes.target)
    raise KscopeError(f"{category.table}: no engine '{category.probe.engine}'")


def check_options(category: Category, options: Mapping[str, Any]) -> None:
    """Raise KscopeError for an option that the probe has not, or a word it does not know."""
    assert category.probe
    known = {option.name: option for option in category.probe.options}
    for name, value in options.items():
        if name not in known:
            have = ", ".join(known) or "none"
            raise KscopeError(f"{category.table}: unknown option '{name}'; it has {have}")
        choices = known[name].choices
        if choices and value not in choices:
            raise KscopeError(f"{category.table}: {name} is one of {', '.join(choices)}")
        _check_bounds(category, known[name], value)


def _check_bounds(category: Category, option: Option, value: Any) -> None:
    if option.least is not None and value < option.least:
        raise KscopeError(f"{category.table}: {option.name} is at least {option.least}")
    if option.most is not None and value > option.most:
        raise KscopeError(f"{category.table}: {option.name} is at most {option.most}")


def replay_plan(category: Category, path: Path | None, wishes: Wishes) -> Plan:
    """A plan that plays a recording, the bundled one without a path."""
    from kscope.agent.engines.replay import HOSTNAME_PREFIX, ReplayEngine  # noqa: PLC0415

    path = path or bundled(category.table)
    if path is None:
        raise KscopeError(f"no recording of {category.table} comes with the package")
    recording: Recording = read_recording(path, category)
    name = wishes.hostname or recording.hostname
    return Plan(
        category,
        lambda: ReplayEngine(recording, wishes.history),
        min(wishes.interval, 10.0),
        hostname=HOSTNAME_PREFIX + name.removeprefix(HOSTNAME_PREFIX),
        at_once=True,
    )
