"""Run a `.bpf.c` program with bcc, and turn its maps or events into rows."""

import ctypes
import heapq
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kscope.agent.engines import program
from kscope.agent.engines.base import TraceFilter
from kscope.agent.engines.kernel_engine import KernelEngine, Reader
from kscope.agent.engines.layout import field_type
from kscope.agent.engines.trial import Trial, tried
from kscope.agent.host import header_tree, kernel, processes
from kscope.agent.host.bpfstats import Cost, program_cost
from kscope.agent.host.libbcc import (
    NAMED,
    attach_named,
    compiled,
    functions,
    load_bcc,
    map_names,
    map_problem,
)
from kscope.agent.rows.convert import merge
from kscope.agent.rows.interval import Drained, Row
from kscope.agent.stacks import unwinder
from kscope.agent.stacks.stacks import Stacks
from kscope.declare.engines.base import CONTRACTS, DEPTH, STACKS, UNWIND_MEMORY
from kscope.declare.files.catalog import is_builtin_program
from kscope.declare.files.field_fits import path_problem
from kscope.declare.model import Attach, Category, Option, Source
from kscope.declare.types.base import Role
from kscope.declare.types.kernel import FieldType
from kscope.errors import DeclarationError, KscopeError, did_you_mean

log = logging.getLogger(__name__)

# Limit of the keys of one interval in memory; each takes about 2 KB.
MOST_KEYS = 1 << 17
_PRELUDES = (Path(__file__).with_name("kscope.h"), Path(unwinder.__file__).with_name("stacks.h"))
# The order of `enum ks_loss` in kscope.h.
_LOSSES = (
    "stacks_collided", "stacks_full", "stacks_other", "keys_full", "starts_full", "events",
)  # fmt: skip
_GENERATION, _RAISED_US = 0, 1
_WAITING = "waiting"  # the map of KS_WAITING
_EVENTS = 20_000  # before an early drain; about 20 MB
_SETTLE = 0.002  # seconds; by then no program uses the old generation


class BccEngine(KernelEngine):
    """One category's program in the kernel."""

    def __init__(
        self, category: Category, options: Mapping[str, Any], trace_filter: TraceFilter
    ) -> None:
        super().__init__(category, options, trace_filter)
        assert self._probe.program
        self._path = self._probe.program
        self._is_events = self._probe.collect.kind == "events"
        pid, children = self._filter.pid, self._filter.children
        self._with_children = children or (self._probe.children and pid > 0)
        self._lost_before: dict[str, int] = {}
        self._events: list[Row] = []
        self._most_events = _EVENTS
        self._broken: BaseException | None = None
        self._generation = 0
        self._stacks: Stacks | None = None

    def start(self) -> None:
        load_bcc()  # raises if it is missing
        kernel.mount_tracefs()
        text = program.read(self._path)
        attached = self._offered(text)
        try:
            self._load(text, attached)
        except DeclarationError:
            raise
        except KscopeError as error:
            if not self._unwinds:
                raise
            log.debug("%s: %s", self._category.table, error)
            self._options[UNWIND_MEMORY.name] = 0
            self._load(text, attached)
            log.warning(
                "%s: user stacks are walked by frame pointers, as the kernel refuses more: %s",
                self._category.table, error,
            )  # fmt: skip
        if self._with_children:
            # The program itself sees only forks from now on.
            for child in self._targets()[1:]:
                self._bpf["ks_family"][ctypes.c_uint(child)] = ctypes.c_ubyte(1)

    def _targets(self) -> list[int]:
        """Return the process of --pid and, if they are traced, its descendants."""
        pid = self._filter.pid
        children = processes.descendants(pid) if self._with_children else []
        return [pid, *children] if pid else []

    @property
    def _unwinds(self) -> bool:
        """Whether the program walks user stacks by rules, not the kernel by frame pointers."""
        wanted = self._options.get(UNWIND_MEMORY.name, 0)
        return bool(wanted and unwinder.constants()["KS_UNWIND"])

    def _load(self, text: str, attached: Sequence[Attach]) -> None:
        self._bpf = self._compiled(text, attached)
        try:
            self._check_contracts()
            self._table = self._collected()
            if STACKS.name in self._options:
                budget = self._options[UNWIND_MEMORY.name] << 20 if self._unwinds else 0
                self._stacks = Stacks(self._bpf, self._options[DEPTH.name], budget)
                for pid in self._targets():
                    self._stacks.prepare(pid)
            self._waiting = self._bpf[_WAITING] if _WAITING in map_names(self._bpf) else {}
            self._read_columns(self._field_types())
            attach_named(self._path, self._bpf)
            for attach in attached:
                self._attach(attach)
            if self._is_events:
                self._table.open_ring_buffer(self._take_event)
        except BaseException:
            self.close()
            raise

    def _check_contracts(self) -> None:
        """The category and its program must name the same contracts."""
        program = self._path.name
        declared, found = self._probe.provides, functions(self._bpf)[1]
        for contract, macro in CONTRACTS.items():
            if contract in declared and contract not in found:
                message = f"{program} does not fulfil '{contract}'; add {macro}, or remove it here"
                raise self._mistake("provides", message, self._probe.provides_line)
            if contract in found and contract not in declared:
                message = f"{program} has {macro}; add '{contract}' to provides"
                raise self._mistake("program", message)

    def _collected(self) -> Any:
        """Return the map that `collect` names. Raises DeclarationError if bcc cannot read it so."""
        collect, message = self._probe.collect, ""
        known = map_names(self._bpf)
        try:
            table = self._bpf[collect.name]
            message = map_problem(table, collect.name, collect.kind)
        except Exception as error:  # noqa: BLE001 - bcc raises bare Exception
            message = f"bcc cannot read the structs of '{collect.name}' (it does not know {error})"
        if collect.name not in known:
            hint = did_you_mean(collect.name, known)
            message = f"the program has no map '{collect.name}'{hint}"
        if message:
            raise self._mistake(f"collect.{collect.kind}", message, collect.line)
        return table

    def poll(self, seconds: float) -> None:
        if self._is_events:
            self._bpf.ring_buffer_poll(int(seconds * 1000))
            self._check()
        else:
            time.sleep(seconds)
        if self._stacks and self._with_children:
            # Now, because short-lived children exit before the interval ends.
            for pid in self._bpf["ks_family"].keys():  # noqa: SIM118 - no dict
                self._stacks.symbols.prime(pid.value)

    def full(self) -> bool:
        return len(self._events) >= _EVENTS

    def drain(self) -> Drained:
        rows = self._all_events() if self._is_events else merge(self._category, self._map_rows())
        self._count_losses()
        drained = self._drained(rows)
        if self._stacks:
            drained.faults = self._stacks.drained()
        return drained

    def _all_events(self) -> list[Row]:
        """Return the events until now, whose stacks are then no longer needed."""
        left = self._flip() if self._stacks else 0
        self._most_events = 2 * _EVENTS
        self._bpf.ring_buffer_consume()
        self._most_events = _EVENTS
        self._check()
        if self._stacks:
            self._stacks.maps.forget(left, self._waiting, {})
        rows, self._events = self._events, []
        return rows

    def cost(self) -> Cost:
        functions = self._bpf.funcs.values()
        return program_cost(Path(f"/proc/self/fdinfo/{each.fd}") for each in functions)

    def raise_threshold(self, by: int) -> bool:
        self._bpf["ks_control"][ctypes.c_int(_RAISED_US)] = ctypes.c_ulonglong(by)
        return any(option.name == "threshold" for option in self._probe.options)

    def close(self) -> None:
        if self._stacks:
            self._stacks.close()
            self._stacks = None
        self._bpf.cleanup()

    # ---- loading

    def _offered(self, text: str) -> list[Attach]:
        """Return the attach points of this kernel. Raises KscopeError if one is required."""
        wanted = [*self._probe.needs, *program.tracepoints(text)]
        wanted += [attach.to for attach in self._probe.attach if not attach.define]
        missing = [place for place in dict.fromkeys(wanted) if not kernel.offers(place)]
        if missing:
            raise KscopeError(
                f"{self._category.table}: this kernel does not offer {', '.join(missing)}"
                + kernel.why_not(missing)
            )
        return [attach for attach in self._probe.attach if kernel.offers(attach.to)]

    def _compiled(self, own: str, attached: Sequence[Attach]) -> Any:
        constants = self._constants(attached)
        wanted = (*self._probe.needs, *self._probe.detect.values())
        if "btf" in wanted and kernel.offers("btf"):
            headers, enums = header_tree.struct_headers(), ""  # they have all enums
        else:
            headers, enums = header_tree.tracepoint_headers(), program.enums(own)
        preludes = "\n".join(map(program.read, _PRELUDES))
        text = f"{preludes}\n{enums}{own}"
        if not is_builtin_program(self._path):  # the project's tests try those on several kernels
            self._try(text, constants, headers)
        flags = [f"-D{name}={value}" for name, value in constants.items()]
        return compiled(self._path, text, flags, headers)

    def _try(self, text: str, constants: dict[str, str], headers: Path) -> None:
        """Compile it in a separate process, and check that each filter makes a difference."""
        names = ("KS_PID", "KS_TID", "KS_CGROUP")
        filters = tuple(name for name in names if not constants[name].startswith("0"))
        neutral = constants | dict.fromkeys(filters, "1") | {"KS_CHILDREN": "0"}
        found = tried(Trial(str(self._path), text, neutral, filters, str(headers)))
        self._check_functions(found.functions)
        if found.unused:
            flag = f"--{found.unused[0].removeprefix('KS_').lower()}"
            raise self._mistake(
                "program",
                f"{flag} would not limit {self._path.name}: {found.unused[0]} makes no difference "
                f"to its functions ({', '.join(found.functions)}); start each of them with "
                "`if (!ks_wanted()) return 0;`, without any other condition in that `if`",
            )

    def _check_functions(self, functions: Sequence[str]) -> None:
        """The functions that `attach` names must exist, and at least one must run."""
        for attach in self._probe.attach:
            if attach.run not in functions and not attach.define:
                message = f"the program has no function '{attach.run}'"
                hint = did_you_mean(attach.run, functions)
                raise self._mistake("attach", message + hint)
        if not self._probe.attach and not any(name.startswith(NAMED) for name in functions):
            have = (
                f"its functions are {', '.join(functions)}" if functions else "it has no function"
            )
            raise self._mistake(
                "program",
                f"{self._path.name} is attached to nothing ({have}); name a place for a function "
                "under probe.attach, or write it as TRACEPOINT_PROBE(group, name)",
            )

    def _constants(self, attached: Sequence[Attach]) -> dict[str, str]:
        present = {attach.define for attach in attached}
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        constants = {
            "KS_PID": str(self._filter.pid),
            "KS_TID": str(self._filter.tid),
            "KS_CHILDREN": str(int(self._with_children)),
            "KS_CGROUP": f"{kernel.cgroup_id(self._filter.cgroup)}ULL",
            "KS_MAP_BYTES": f"{memory // 4}ULL",
            "KS_CPUS": str(len(load_bcc().utils.get_possible_cpus())),
        }
        for attach in self._probe.attach:
            if attach.define:
                constants[attach.define] = str(int(attach.define in present))
        if STACKS.name in self._options:
            constants |= self._stack_constants()
        for name, place in self._probe.detect.items():
            constants[name] = str(int(kernel.offers(place)))
        for option in self._probe.options:
            constants[option.define] = _constant(option, self._options[option.name])
        return constants

    def _stack_constants(self) -> dict[str, str]:
        depth = min(self._options[DEPTH.name], kernel.deepest_stack())
        numbers = {**unwinder.constants(), "KS_KERNEL_DEPTH": depth}
        if not self._unwinds:
            numbers["KS_UNWIND"] = 0
        return {name: str(number) for name, number in numbers.items()}

    def _attach(self, attach: Attach) -> None:
        kind, _, place = attach.to.partition(":")
        run = attach.run.encode()
        try:
            if kind == "kprobe":
                symbol = kernel.kprobe_symbol(place) or place
                self._bpf.attach_kprobe(event=symbol.encode(), fn_name=run)
            elif kind == "tracepoint":
                self._bpf.attach_tracepoint(tp=place.encode(), fn_name=run)
            else:  # cpu-clock@99, or cpu-clock@frequency with an option's name
                _, _, rate = place.partition("@")
                self._bpf.attach_perf_event(
                    ev_type=load_bcc().PerfType.SOFTWARE,
                    ev_config=load_bcc().PerfSWConfig.CPU_CLOCK,
                    fn_name=run,
                    sample_freq=int(self._options.get(rate, rate)),
                )
        except Exception as error:  # noqa: BLE001 - bcc raises bare Exception
            raise KscopeError(f"{self._category.table}: {attach.to}: {error}") from None

    # ---- reading

    def _field_types(self) -> dict[str, FieldType]:
        if not self._is_events:
            return {"key": field_type(self._table.Key), "value": field_type(self._table.Leaf)}
        try:
            event = type(self._table.event(ctypes.create_string_buffer(8192)))
        except SystemExit:  # how bcc ends a program whose struct it cannot read
            raise self._unreadable() from None
        self._event_size = ctypes.sizeof(event)
        return {"event": field_type(event)}

    def _unreadable(self) -> KscopeError:
        return KscopeError(
            f"{self._probe.program}: an event's fields must be of plain types: u8 to u64, s16 to "
            "s64, char and flat arrays of them, without bit fields"
        )

    def _stack_reader(self, source: Source) -> Reader:
        self._check_halves(source)
        assert self._stacks
        stacks = self._stacks.maps
        part = source.fields[0].partition(".")[0]
        names = tuple(path.partition(".")[2] for path in source.fields)
        return lambda entry: stacks.text(entry[part], names, self._loss)

    def _check_halves(self, source: Source) -> None:
        """The process id that names a user half must be in the same struct."""
        for path in source.fields:
            holder, _, name = path.rpartition(".")
            if "." in holder:
                raise KscopeError(
                    f"'{path}' must be a direct field of the struct, not of a struct inside it"
                )
            process = f"{holder}.{name.removesuffix('ustack')}tgid"
            if name.endswith("ustack") and path_problem(process, self._parts):
                raise KscopeError(
                    f"'{path}' needs a field '{process}' beside it: the process that names it"
                )

    def _map_rows(self) -> Iterator[Row]:
        """Yield the rows of the generation that the program has just left."""
        left = self._flip()
        # Sorted by process, so that the symbols of one are read once.
        for key, value in sorted(self._largest(left), key=_process_of):
            if self._stacks:
                self._stacks.maps.disown(key)
            entry = {"key": key, "value": value}
            yield {name: read(entry) for name, read in self._readers.items()}
        if self._stacks:
            self._stacks.maps.forget(left, self._waiting, self._table)

    def _flip(self) -> int:
        """Let the program use the other generation of its maps; return the one that it left."""
        left, self._generation = self._generation, self._generation ^ 1
        self._bpf["ks_control"][ctypes.c_int(_GENERATION)] = ctypes.c_ulonglong(self._generation)
        time.sleep(_SETTLE)
        return left

    def _largest(self, generation: int) -> list[tuple[Any, Any]]:
        """Empty the map. Return the entries with the largest values; the others count as lost."""
        taken = itertools.count()
        entries = (entry for entry, _ in zip(_take(self._table, generation), taken, strict=False))
        kept = heapq.nlargest(MOST_KEYS, entries, key=self._weight())
        if lost := next(taken) - len(kept):
            self._loss.values += lost
            log.warning(
                "%s: an interval had %d keys; the %d with the largest values are sent; "
                "use a shorter --interval, or fewer --keys",
                self._category.table, lost + len(kept), len(kept),
            )  # fmt: skip
        return kept

    def _weight(self) -> Callable[[tuple[Any, Any]], float]:
        """Return a reader of what most charts show: the first value column that is not a count."""
        columns = sorted(self._category.with_role(Role.VALUE), key=lambda c: c.type.counts_events)
        weighed = [self._readers[c.name] for c in columns if c.name in self._readers]
        if not weighed:
            return lambda _entry: 1
        return lambda entry: float(weighed[0]({"key": entry[0], "value": entry[1]}))

    def _take_event(self, _context: Any, data: Any, size: int) -> int:
        # ctypes ignores an exception of a callback.
        if size != self._event_size:  # bit fields, which bcc reads as whole fields
            self._broken = self._unreadable()
            return -1
        try:
            entry = {"event": self._table.event(data)}
            self._events.append({name: read(entry) for name, read in self._readers.items()})
        except Exception as error:  # noqa: BLE001
            self._broken = error
        # A negative number ends the poll. Further events wait in the kernel, which counts losses.
        return -1 if len(self._events) >= self._most_events else 0

    def _check(self) -> None:
        if self._broken:
            raise self._broken

    def _count_losses(self) -> None:
        table = self._bpf["ks_lost"]
        totals = {name: table[ctypes.c_int(slot)].value for slot, name in enumerate(_LOSSES)}
        totals["runs"] = self.cost().missed
        for name, total in totals.items():
            already = getattr(self._loss, name)
            setattr(self._loss, name, already + total - self._lost_before.get(name, 0))
        self._lost_before = totals


def _take(table: Any, generation: int) -> Iterator[tuple[Any, Any]]:
    """Empty the map, or if its key has a `generation`, that half of it.

    A key is deleted after the next one is known, because the kernel finds the next one by it. The
    walk restarts if a neighbour vanishes, so it has a limit.
    """
    split = any(field[0] == "generation" for field in getattr(table.Key, "_fields_", ()))
    before = None
    for key in itertools.islice(table.keys(), 2 * table.max_entries):
        if before is not None:
            del table[before]
        before = None if split and key.generation != generation else key
        if before is not None:
            yield key, table[key]
    if before is not None:
        del table[before]


def _process_of(entry: tuple[Any, Any]) -> int:
    return getattr(entry[0], "tgid", getattr(entry[0], "waker_tgid", 0))


def _constant(option: Option, value: Any) -> str:
    if option.choices:
        return str(option.choices[value])
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
