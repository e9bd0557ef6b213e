"""The bcc library: only this module finds, imports and calls it."""

import ctypes
import functools
import importlib
import importlib.util
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from kscope.agent.host import heap, subprograms
from kscope.declare.files.catalog import is_builtin_program
from kscope.errors import KscopeError, ProgramError

log = logging.getLogger(__name__)

# Where distributions put it. Only this one package joins the path: the rest of those folders
# would shadow the packages of a virtual environment.
_PLACES = (
    "/usr/lib/python3/dist-packages",
    *(f"/usr/lib/python3.{minor}/site-packages" for minor in range(9, 16)),
    *(f"/usr/lib64/python3.{minor}/site-packages" for minor in range(9, 16)),
)
_OURS = "ks_"  # maps and functions of kscope.h
_PROVIDES = "ks_provides_"
_COMPILER = re.compile(r"/lib(LLVM|clang)[^/]*$")
_MADV_DONTNEED = 4
_SHOWN = 2000  # characters, of the beginning and of the end
# bcc attaches a function with such a name at the place in its name.
NAMED = (
    "kprobe__", "kretprobe__", "tracepoint__", "raw_tracepoint__", "kfunc__", "kretfunc__", "lsm__",
)  # fmt: skip
# LLVM's set-up inside libbcc, its list of all programs' maps, which has no lock, and the standard
# error we borrow, are the whole process's.
_compiling = threading.Lock()
# Probes start in parallel, and must not find a module that is half imported.
_importing = threading.Lock()


def load_bcc() -> ModuleType:
    """Return the bcc package of the interpreter or the distribution. Raises KscopeError."""
    with _importing:
        try:
            if importlib.util.find_spec("bcc") is None:
                _import_from_distribution()
            bcc = importlib.import_module("bcc")
        except OSError as error:  # the package without its shared library
            raise KscopeError(f"bcc: {error}: apt install libbpfcc") from None
    bcc.BPF.str2ctype.setdefault("signed char", ctypes.c_byte)  # s8, which it does not know
    return bcc


def _import_from_distribution() -> None:
    spec = PathFinder.find_spec("bcc", _PLACES)
    if spec is None or spec.loader is None:
        raise KscopeError("the bcc engine needs bcc: apt install python3-bpfcc")
    sys.modules["bcc"] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules["bcc"]
        raise


def compiled(program: Path, text: str, flags: Sequence[str], headers: Path) -> Any:
    """Return a bcc.BPF whose programs are attached nowhere yet.

    Raises KscopeError with the compiler's messages.
    """
    with _explained(program):
        os.environ["BCC_KERNEL_SOURCE"] = str(headers)
        try:
            return unattached(text, flags)
        finally:
            _give_back()


def unattached(text: str, flags: Sequence[str]) -> Any:
    """Return a bcc.BPF without its programs attached; what goes wrong is on standard error."""
    bcc = load_bcc()

    class Unattached(bcc.BPF):  # type: ignore[name-defined, misc]
        """bcc would attach the functions while it creates the object."""

        def _trace_autoload(self) -> None:
            pass

        def close(self) -> None:
            """Free the program, as the end of `cleanup`: two at once may crash libbcc."""
            with _compiling:
                super().close()

        def load_func(self, name: bytes | str, kind: int, *rest: Any, **more: Any) -> Any:
            """Load a program; bcc itself cannot load one that calls functions."""
            text = name.decode() if isinstance(name, bytes) else name
            callable_ = subprograms.numbered(_all_functions(self))
            program = subprograms.linked(text, lambda each: bytecode(self, each), callable_)
            if program is None or text.encode() in self.funcs:
                return super().load_func(name, kind, *rest, **more)
            try:
                descriptor = subprograms.load(program, kind, text)
            except OSError as error:
                raise KscopeError(f"the kernel refuses {text}: {error.strerror}") from None
            self.funcs[text.encode()] = bcc.BPF.Function(self, text.encode(), descriptor)
            return self.funcs[text.encode()]

    return Unattached(text=text.encode(), cflags=[*flags, "-Wno-unused-function"])


class RingBuffer:
    """Calls `take` with the bytes of each record, in the thread that calls `poll`.

    bcc has one reader for all ring buffers of a program, which only one thread may use.
    """

    def __init__(self, table: Any, take: Callable[[bytes], None]) -> None:
        self._lib = _library()

        def called(_context: Any, data: int, size: int) -> int:
            try:
                take(ctypes.string_at(data, size))
            except Exception:  # ctypes would ignore it
                log.exception("a record of the program cannot be handled")
            return 0

        # The library keeps the address only.
        self._callback = importlib.import_module("bcc.libbcc")._RINGBUF_CB_TYPE(called)  # noqa: SLF001
        self._reader = self._lib.bpf_new_ringbuf(table.map_fd, self._callback, None)
        if not self._reader:
            raise KscopeError("the kernel does not offer ring buffers, which exist since Linux 5.8")

    def poll(self, milliseconds: int) -> None:
        self._lib.bpf_poll_ringbuf(self._reader, milliseconds)

    def close(self) -> None:
        self._lib.bpf_free_ringbuf(self._reader)


def attach_named(program: Path, bpf: Any) -> None:
    """Attach the functions whose names contain the place: TRACEPOINT_PROBE, kprobe__ and similar.

    Raises KscopeError with the verifier's messages.
    """
    with _explained(program):
        load_bcc().BPF._trace_autoload(bpf)  # noqa: SLF001


@contextmanager
def _explained(program: Path) -> Iterator[None]:
    """Add the messages of clang to an error; it writes them to file descriptor 2 directly."""
    with _compiling, tempfile.TemporaryFile() as complaints:
        kept = os.dup(2)
        os.dup2(complaints.fileno(), 2)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - bcc raises bare Exception
            complaints.seek(0)
            detail = complaints.read().decode("utf-8", "replace")
            raise failure(program, str(error), detail) from None
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def failure(program: Path, reason: str, detail: str = "") -> KscopeError:
    """Return an error with what was printed: a compiler's first mistake, a verifier's last line.

    It is the user's fault, or that of a program that Kernelscope ships.
    """
    said = detail.strip()
    if len(said) > 2 * _SHOWN:
        said = f"{said[:_SHOWN]}\n[...]\n{said[-_SHOWN:]}"
    kind = KscopeError if is_builtin_program(program) else ProgramError
    return kind(f"{program}: {reason}" + (f"\n{said}" if said else ""))


def functions(bpf: Any) -> tuple[list[str], set[str]]:
    """Return the functions that the kernel can run, and the contracts, by KS_PROVIDES."""
    names = _all_functions(bpf)
    provided = {name.removeprefix(_PROVIDES) for name in names if name.startswith(_PROVIDES)}
    return [name for name in names if not name.startswith(_OURS)], provided


def _all_functions(bpf: Any) -> list[str]:
    count = _library().bpf_num_functions(bpf.module)
    return [_library().bpf_function_name(bpf.module, n).decode() for n in range(count)]


def bytecode(bpf: Any, function: str) -> bytes:
    start = _library().bpf_function_start(bpf.module, function.encode())
    size = _library().bpf_function_size(bpf.module, function.encode())
    return ctypes.string_at(start, size)


def map_names(bpf: Any) -> list[str]:
    """Return the names of the program's own maps, without those of kscope.h."""
    count = _library().bpf_num_tables(bpf.module)
    names = (_library().bpf_table_name(bpf.module, n).decode() for n in range(count))
    return [name for name in names if not name.startswith(_OURS)]


def map_problem(table: Any, name: str, kind: str) -> str:
    """Return why a map cannot be collected as events or as a map; '' if it can."""
    tables = importlib.import_module("bcc.table")
    if isinstance(table, tables.RingBuf):
        return "" if kind == "events" else f"'{name}' is a ring buffer; write events: {name}"
    if kind == "events":
        return (
            f"'{name}' is a map, not a ring buffer; write map: {name}, or declare it with "
            f"BPF_RINGBUF_OUTPUT({name}, 64)"
        )
    if type(table) not in {tables.HashTable, tables.LruHash, tables.Array}:
        return f"rows cannot be read from '{name}', a {type(table).__name__}; use BPF_HASH"
    lib, found = _library(), (table.bpf.module, name.encode())
    sizes = (lib.bpf_table_key_size(*found), lib.bpf_table_leaf_size(*found))
    if sizes != (ctypes.sizeof(table.Key), ctypes.sizeof(table.Leaf)):
        return f"bcc cannot read the structs of '{name}'; use plain fields and flat arrays"
    return ""


@functools.cache
def _library() -> Any:
    """Return libbcc, with types for the functions that the bcc package does not call."""
    lib = importlib.import_module("bcc.libbcc").lib
    lib.bpf_num_tables.argtypes = [ctypes.c_void_p]
    lib.bpf_table_name.restype = ctypes.c_char_p
    lib.bpf_table_name.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    for size in (lib.bpf_table_key_size, lib.bpf_table_leaf_size):
        size.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return lib


def is_compiler(start: int, end: int) -> bool:
    """Return whether this process has its compiler's code from `start` to `end`."""
    try:
        path = os.readlink(f"/proc/self/map_files/{start:x}-{end:x}")  # noqa: PTH115
    except OSError:
        return False
    return _COMPILER.search(path) is not None


def _give_back() -> None:
    """Release the compiler's memory: its heap, and its code, which is read again when needed."""
    heap.give_back()
    libc = ctypes.CDLL(None)
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        place, rights, *_, name = line.split()
        # Only code: other parts of a library can differ from the file.
        if rights == "r-xp" and _COMPILER.search(name):
            begin, end = (int(address, 16) for address in place.split("-"))
            libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)
