"""The bcc library: found, imported and called here alone."""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
import os
import re
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

# Where distributions put it. Only this one package joins the path: the rest of those folders
# would shadow the packages of a virtual environment.
_PLACES = (
    "/usr/lib/python3/dist-packages",
    *(f"/usr/lib/python3.{minor}/site-packages" for minor in range(9, 16)),
    *(f"/usr/lib64/python3.{minor}/site-packages" for minor in range(9, 16)),
)
_COMPILER = re.compile(r"/lib(LLVM|clang)[^/]*$")
_MADV_DONTNEED = 4
# LLVM's set-up inside libbcc, and the standard error we borrow, are the whole process's.
_compiling = threading.Lock()
# Probes start at once, and a module that is half imported is found by the next who looks.
_importing = threading.Lock()


def load_bcc() -> ModuleType:
    """The bcc package, the interpreter's own or the distribution's; KscopeError without either."""
    with _importing:
        return _load_bcc()


@functools.cache
def _load_bcc() -> ModuleType:
    try:
        if importlib.util.find_spec("bcc") is None:
            _import_from(next(p for p in _PLACES if Path(p, "bcc", "__init__.py").exists()))
        return importlib.import_module("bcc")
    except StopIteration:
        raise KscopeError("the bcc engine needs bcc: apt install python3-bpfcc") from None
    except OSError as error:  # the package without its shared library
        raise KscopeError(f"bcc: {error}: apt install libbpfcc") from None


def _import_from(place: str) -> None:
    folder = Path(place, "bcc")
    spec = importlib.util.spec_from_file_location(
        "bcc", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["bcc"] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules["bcc"]
        raise


def compiled(program: Path, text: str, flags: Sequence[str], headers: Path) -> Any:
    """A bcc.BPF, its tracepoint programs attached; the compiler's words in a KscopeError."""
    bcc = load_bcc()
    reason = ""
    with _compiling:
        os.environ["BCC_KERNEL_SOURCE"] = str(headers)
        with _captured_stderr() as complaints:
            try:
                return bcc.BPF(text=text, cflags=[*flags, "-Wno-unused-function"])
            except Exception as error:  # noqa: BLE001 - bcc raises bare Exception
                reason = str(error)
            finally:
                _give_back()
            complaints.seek(0)
            detail = complaints.read().decode("utf-8", "replace").strip()
    raise KscopeError(f"{program}: {reason}" + (f"\n{detail[-4000:]}" if detail else ""))


def free_symbols(cache: Any, pid: int) -> None:
    """SymbolCache has no destructor of its own; a long run would keep every process's symbols."""
    importlib.import_module("bcc.libbcc").lib.bcc_free_symcache(cache.cache, pid)


def _give_back() -> None:
    """What the compiler took: its heap, and its code, which is read again at need."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        libc.malloc_trim(0)
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        place, rights, *_, name = line.split()
        # Code alone: other parts of a library are no longer what the file has.
        if rights == "r-xp" and _COMPILER.search(name):
            begin, end = (int(address, 16) for address in place.split("-"))
            libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)


@contextmanager
def _captured_stderr() -> Iterator[Any]:
    """clang writes to file descriptor 2 directly: what it says belongs in our error."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(kept, 2)
            os.close(kept)
