"""The probes of `kscope agent` and where their rows go: from flags, configuration and catalog."""

import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from kscope.agent.agent import Delivery
from kscope.agent.engines.base import TraceFilter
from kscope.agent.run.configure import ProbeRequest, live_run, probe_category, replay_run
from kscope.agent.run.health import TABLE as HEALTH
from kscope.cli.categories import good_catalog, warn
from kscope.cli.probeflags import BUNDLED, dest
from kscope.cli.running import Parts
from kscope.cli.trust import trust_of
from kscope.client.endpoint import read_token
from kscope.config import DEFAULT_FILE, ProbeSettings, Settings, check_probes, chosen_settings
from kscope.declare.files.catalog import BUILTIN, read_catalog
from kscope.declare.model import Catalog, Category
from kscope.errors import KscopeError, UsageError


def settings_for(config: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Return the configuration's settings; a flag replaces the value of the same name."""
    settings = chosen_settings(config)
    names = ("server", "token_file", "interval", "max_overhead", "spool")
    given = {name: flags[name] for name in names if flags[name] not in (None, "")}
    return replace(settings, agent=replace(settings.agent, **given))


def configured(
    config: Path | None, flags: Mapping[str, Any], before: Catalog | None = None
) -> Parts:
    """Return the probes that the configuration lists, and those in the user's own folders."""
    settings = settings_for(config, flags)
    reading = read_catalog(settings.categories, before)
    warn(reading.problems)
    catalog = reading.catalog
    if reading.problems:
        settings = _without_unknown(settings, catalog)
    check_probes(settings.agent, catalog)
    hostname = flags["hostname"] or socket.gethostname()
    own = {name: ProbeSettings() for name in _own_probes(settings, catalog)}
    runs = [
        live_run(
            probe_category(catalog, name),
            ProbeRequest(
                options=probe.options,
                trace_filter=TraceFilter(cgroup=probe.cgroup),
                interval=settings.agent.interval,
                max_overhead=_bound(settings, probe),
                hostname=hostname,
            ),
        )
        for name, probe in {**own, **settings.agent.probes}.items()
    ]
    return Parts(catalog, runs, _delivery(settings, hostname), catalog.get(HEALTH))


def named(
    name: str, config: Path | None, flags: Mapping[str, Any], before: Catalog | None = None
) -> Parts:
    """Return one probe, configured by its flags."""
    settings = settings_for(config, flags)
    catalog = good_catalog(settings.categories, before)
    category = probe_category(catalog, name)
    request = request_for(category, settings, flags)
    if flags["replay"]:
        path = None if flags["replay"] == BUNDLED else Path(flags["replay"])
        probe, health = replay_run(category, path, request), None
    else:
        probe, health = live_run(category, request), catalog.get(HEALTH)
    return Parts(catalog, [probe], _delivery(settings, probe.hostname), health)


def united(
    name: str, config: Path | None, flags: Mapping[str, Any], before: Catalog | None = None
) -> Parts:
    """Return the probes of a union's members, with their options as they are by default."""
    settings = settings_for(config, flags)
    catalog = good_catalog(settings.categories, before)
    union = catalog.get(name)
    tables = dict.fromkeys(member.table for member in union.union) if union else [name]
    members = [probe_category(catalog, table) for table in tables]
    runs = [live_run(each, request_for(each, settings, flags)) for each in members]
    return Parts(catalog, runs, _delivery(settings, runs[0].hostname), catalog.get(HEALTH))


def _without_unknown(settings: Settings, catalog: Catalog) -> Settings:
    """Return the settings without the probes whose files are bad; the others run."""
    probes = {name: probe for name, probe in settings.agent.probes.items() if catalog.get(name)}
    for name in settings.agent.probes.keys() - probes.keys():
        click.echo(f"warning: {name}: no good category file declares this probe", err=True)
    return replace(settings, agent=replace(settings.agent, probes=probes))


def signature(config: Path | None) -> list[tuple[str, int, int]]:
    """Return a value that changes if a configuration, category or program file changes."""
    config = config or DEFAULT_FILE
    files = [config]
    with suppress(KscopeError, OSError):
        for folder in _own_folders(chosen_settings(config if config.exists() else None)):
            files += [*folder.glob("*.y*ml"), *(folder.parent / "probes").glob("*.bpf.c")]
    found = []
    for file in files:
        with suppress(OSError):
            stat = file.stat()
            found.append((str(file), stat.st_mtime_ns, stat.st_size))
    return sorted(found)


def request_for(category: Category, settings: Settings, flags: Mapping[str, Any]) -> ProbeRequest:
    assert category.probe
    return ProbeRequest(
        options={
            option.name: flags.get(dest(option.name), option.default)
            for option in category.probe.options
        },
        trace_filter=_trace_filter(flags),
        interval=settings.agent.interval,
        max_overhead=_bound(settings, settings.agent.probes.get(category.table)),
        history=flags.get("history", 0.0),
        hostname=flags["hostname"] or ("" if flags.get("replay") else socket.gethostname()),
    )


def _own_folders(settings: Settings) -> list[Path]:
    return [Path(folder) for folder in settings.categories if folder != BUILTIN]


def _own_probes(settings: Settings, catalog: Catalog) -> list[str]:
    folders = set(_own_folders(settings))
    return [c.table for c in catalog if c.probe and Path(c.file).parent in folders]


def _bound(settings: Settings, probe: ProbeSettings | None) -> float:
    """Return the limit of the probe's overhead: its own, or else the general one."""
    own = probe.max_overhead if probe else None
    return settings.agent.max_overhead if own is None else own


def _trace_filter(flags: Mapping[str, Any]) -> TraceFilter:
    for kind, number in (("process", flags["pid"]), ("thread", flags["tid"])):
        if number and not Path(f"/proc/{number}").exists():
            raise UsageError(f"there is no {kind} {number}")
    return TraceFilter(flags["pid"] or 0, flags["tid"] or 0, flags["children"], flags["cgroup"])


def _delivery(settings: Settings, hostname: str) -> Delivery:
    agent = settings.agent
    return Delivery(
        server=agent.server,
        hostname=hostname,
        token=read_token(agent.token_file),
        spool=agent.spool,
        spool_bytes=agent.spool_bytes,
        spool_age=agent.spool_age,
        timeout=agent.timeout,
        trust=trust_of(agent),
    )
