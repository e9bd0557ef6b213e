"""The probe section of a category: checks, and the model made from it."""

import itertools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kscope.declare.engines import ENGINES
from kscope.declare.engines.base import NAMES, SOURCES, ProbeEngine
from kscope.declare.files.bpftrace_script import script_map
from kscope.declare.files.field_fits import column_problem, field_problem, path_problem
from kscope.declare.files.shapes import (
    COLLECT_KINDS,
    CollectFile,
    OptionFile,
    ProbeFile,
    SourceFile,
    Sources,
)
from kscope.declare.files.yaml_lines import Document, Found, Path
from kscope.declare.model import TIME, Alias, Attach, Collect, Column, Option, Probe, Source
from kscope.declare.types import TYPES
from kscope.declare.types.base import Role
from kscope.declare.types.wire import UNSET, json_schema, made
from kscope.declare.values import choice_fault, is_valid, value_fault
from kscope.errors import Problem, ValueFaultError, did_you_mean

# Flags that `kscope agent` has for every probe.
FLAGS = frozenset(
    (
        *("pid", "tid", "children", "cgroup", "duration", "folded", "json", "record", "replay"),
        *("history", "server", "logger", "token-file", "hostname", "interval", "spool"),
        *("max-overhead", "until-eof", "verbose", "config", "help", *NAMES),
    )
)


# Their letters, and those of them that a letter of another tool may stand for.
LETTERS = frozenset("pftvh")
SHARED = frozenset(("duration", "interval", "tid"))
_SOURCES = json_schema(Sources)


def check_probe(
    document: Document,
    probe: dict[str, Any],
    columns: Mapping[str, Column],
    folder: pathlib.Path | None,
) -> Iterator[Problem]:
    # None if the file does not name an engine.
    engine = ENGINES.get(str(probe.get("engine")))
    for path, *why in itertools.chain(
        _check_engine(probe, engine, columns) if engine else (),
        _check_program(probe, engine, folder),
        _check_options(probe.get("options")),
        _check_aliases(probe.get("also"), probe.get("options")),
        _check_sources(probe.get("collect"), engine, columns),
    ):
        yield document.problem(("probe", *path), *why)


def make_probe(
    file: ProbeFile, document: Document, columns: Sequence[Column], folder: pathlib.Path | None
) -> Probe:
    engine = ENGINES[file.engine]
    bound = file.collect.columns
    has_stack = any(_is_stack(each) and each.name in bound for each in columns)
    return Probe(
        engine=engine.name,
        program=folder / file.program if folder and file.program else None,
        script=file.script,
        options=(
            *(_option(name, option) for name, option in file.options.items()),
            *engine.options,
            *(engine.stack_options if has_stack else ()),
        ),
        collect=_collect(file.collect, document),
        attach=tuple(Attach(each.to, each.run, each.define) for each in file.attach),
        needs=tuple(file.needs),
        provides=tuple(file.provides),
        provides_line=document.line(("probe", "provides")),
        detect=file.detect,
        children=file.children,
        aliases=tuple(_alias(flag, to) for flag, to in file.also.items()),
        line=document.line(("probe", engine.source)),
    )


def _collect(file: CollectFile, document: Document) -> Collect:
    place = ("probe", "collect")
    kind = next(kind for kind in COLLECT_KINDS if getattr(file, kind))
    sources = {
        name: _source(source, document.line((*place, "columns", name)))
        for name, source in file.columns.items()
    }
    return Collect(kind, getattr(file, kind), sources, document.line((*place, kind)))


def _alias(flag: str, to: Any) -> Alias:
    if isinstance(to, str):
        return Alias(flag, to)
    ((option, value),) = to.items()
    if isinstance(value, dict):
        return Alias(flag, option, values={str(key): each for key, each in value.items()})
    return Alias(flag, option, value)


def _option(name: str, file: OptionFile) -> Option:
    least, most = (each if each is not UNSET else None for each in (file.least, file.most))
    kind = TYPES[file.type]
    return Option(name, kind, file.default, file.define, file.help, file.choices, least, most)


def _number(text: str) -> int:
    return int(text, 16 if text.startswith("0x") else 10)


def _source(file: str | list[str] | SourceFile, line: int = 0) -> Source:
    if not isinstance(file, SourceFile):
        return Source((file,) if isinstance(file, str) else tuple(file), line=line)
    names = {str(_number(number)): word for number, word in file.names.items()}
    return Source((file.place,), names, file.decode, file.enum, line)


def _check_engine(
    probe: dict[str, Any], engine: ProbeEngine, known: Mapping[str, Column]
) -> Iterator[Found]:
    """Each engine runs either a program of the probes/ folder or the script of this file."""
    for other in SOURCES.keys() & probe.keys() - {engine.source}:
        message = f"is not for {engine.name}, which runs a '{engine.source}', "
        yield (other,), message + SOURCES[engine.source]
    if "provides" in probe and not engine.kscope_h:
        yield ("provides",), f"is not for {engine.name}, which has no contracts; remove the key"
    match probe:
        case {"script": str(script), "collect": dict(collect)} if engine.bpftrace_script:
            yield from _check_script(script, collect, known)


def _check_script(
    script: str, collect: dict[str, Any], known: Mapping[str, Column]
) -> Iterator[Found]:
    if "events" in collect:
        yield ("collect", "events"), "bpftrace gives maps: use 'map' or 'histogram'"
    kinds = [kind for kind in ("map", "histogram") if isinstance(collect.get(kind), str)]
    columns = collect.get("columns")
    if not kinds or not isinstance(columns, dict):
        return
    try:
        filled = script_map(script, collect[kinds[0]])
    except ValueError as error:
        yield ("collect", kinds[0]), str(error)
        return
    for name, raw in columns.items():
        for path in _paths(raw):
            why = filled.key_problem(path) or path_problem(path, filled.parts)
            if not why and name in known and (source := _readable(raw)):
                part, _, rest = path.partition(".")
                found = filled.parts[part].at(rest) or filled.parts[part]
                why = field_problem(known[name], source, path, found)
            if why:
                yield ("collect", "columns", name), why


def _readable(raw: Any) -> Source | None:
    """Return the source, if the shape of the file is right so far."""
    return _source(made(raw, Sources)) if is_valid(_SOURCES, raw) else None


def _paths(source: Any) -> Iterator[str]:
    match source:
        case str(path) | {"from": str(path)}:
            yield path
        case list(paths):
            yield from (path for path in paths if isinstance(path, str))


def _check_program(
    probe: dict[str, Any], engine: ProbeEngine | None, folder: pathlib.Path | None
) -> Iterator[Found]:
    program = probe.get("program")
    if not isinstance(program, str) or (engine and engine.source != "program"):
        return
    if "/" in program or program.startswith("."):
        yield ("program",), "must be a file name alone: it is looked for in the probes/ folder"
    elif folder and not (folder / program).is_file():
        yield ("program",), f"there is no file {folder / program}"


def _check_options(options: Any) -> Iterator[Found]:
    for name, option in options.items() if isinstance(options, dict) else ():
        if name in FLAGS:
            yield ("options", name), f"--{name} is a flag of every probe: choose another name"
        if not isinstance(option, dict) or str(option.get("type")) not in TYPES:
            continue
        if "default" in option and (fault := _refusal(option, option["default"])):
            yield ("options", name, "default"), fault.message, fault.cure
        elif not isinstance(option.get("choices"), dict) and (why := _bounds_problem(option)):
            yield ("options", name), why


def _check_aliases(also: Any, options: Any) -> Iterator[Found]:
    options = options if isinstance(options, dict) else {}
    for flag, to in also.items() if isinstance(also, dict) else ():
        path = ("also", flag)
        if flag in FLAGS | LETTERS or flag in options:
            noun = "letter" if len(flag) == 1 else "name"
            yield path, f"is a flag of this probe already: choose another {noun}"
        if not isinstance(to, (str, dict)) or not to:
            continue
        name = to if isinstance(to, str) else next(iter(to))
        if isinstance(to, dict) and isinstance(options.get(name), dict):
            yield from _check_values((*path, name), options[name], to[name])
        elif name not in {*options, *NAMES, *SHARED} or not isinstance(to, str):
            yield path, f"there is no option '{name}'{did_you_mean(name, [*options, *SHARED])}"


def _check_values(path: Path, option: Mapping[str, Any], to: Any) -> Iterator[Found]:
    """Yield why the option refuses the values of a flag; other shapes are reported elsewhere."""
    for value in to.values() if isinstance(to, dict) else (to,):
        if isinstance(value, (str, int, float)) and (why := _refusal(option, value)):
            yield path, why.message, why.cure


def _refusal(option: Mapping[str, Any], value: Any) -> ValueFaultError | None:
    choices, kind = option.get("choices"), TYPES.get(str(option.get("type")))
    if isinstance(choices, dict):
        return choice_fault(choices, value)
    return value_fault(kind, value) if kind else None


def _bounds_problem(option: Mapping[str, Any]) -> str:
    least, most, default = (option.get(key) for key in ("least", "most", "default"))
    if isinstance(default, bool) or not isinstance(default, (int, float)):
        return "least and most are for numbers" if (least, most) != (None, None) else ""
    if isinstance(least, int) and default < least:
        return f"its default {default} is less than the least, {least}"
    if isinstance(most, int) and default > most:
        return f"its default {default} is more than the most, {most}"
    return ""


def _check_sources(
    collect: Any, engine: ProbeEngine | None, columns: Mapping[str, Column]
) -> Iterator[Found]:
    bound = collect.get("columns") if isinstance(collect, dict) else None
    if not isinstance(bound, dict):
        return
    for name, raw in bound.items():
        path = ("collect", "columns", name)
        if name == TIME.name:
            if not isinstance(raw, str) or not raw.startswith("event."):
                yield path, "must be one field of an event, as the kernel's clock counts it"
        elif name not in columns:
            yield path, f"there is no column '{name}'{did_you_mean(name, columns)}"
        else:
            yield from _check_source(path, raw, columns[name])
            if engine and engine.kscope_h and _is_stack(columns[name]):
                yield from _check_stack_ids(path, [*_paths(raw)])
    for name, column in columns.items():
        if name not in bound and not column.optional:
            yield ("collect", "columns"), f"nothing fills column '{name}', which has no default"


def _check_source(path: Path, raw: Any, column: Column) -> Iterator[Found]:
    if isinstance(raw, list) and raw[1:] and not _is_stack(column):
        yield path, f"'{column.name}' is no stack: it takes one field"
    if not isinstance(raw, dict):
        return
    if len({"names", "as", "enum"} & set(raw)) > 1:
        yield path, "takes one of names, as and enum"
    if isinstance(raw.get("names"), dict) and (why := _twice(raw["names"])):
        yield (*path, "names"), why
    elif (source := _readable(raw)) and (why := column_problem(column, source)):
        yield path, why


def _is_stack(column: Column) -> bool:
    return column.type.role is Role.STACK


def _twice(names: Mapping[str, str]) -> str:
    """0x10 and 16 are one number."""
    seen: dict[int, str] = {}
    for text in names:
        try:
            first = seen.setdefault(_number(text), text)
        except ValueError:
            continue  # its shape is reported elsewhere
        if first != text:
            return f"{text} and {first} are the same number; keep one"
    return ""


def _check_stack_ids(path: Path, fields: list[str]) -> Iterator[Found]:
    """bcc's stack ids are in fields of one struct, whose names say which half they are."""
    if wrong := [field for field in fields if not field.endswith(("kstack", "ustack"))]:
        message = "is not a stack id; store ks_stack() in a field whose name ends in"
        yield path, f"'{wrong[0]}' {message} kstack or ustack"
    elif len({field.rpartition(".")[0] for field in fields}) > 1:
        yield path, "must take its fields from one struct"
