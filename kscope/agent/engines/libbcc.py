"""The bcc library: found, imported and called here alone."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
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
# LLVM's set-up inside libbcc, and the standard error we borrow, are the whole process's.
_compiling = threading.Lock()


@functools.cache
def load_bcc() -> ModuleType:
    """The bcc package, the interpreter's own or the distribution's; KscopeError without either."""
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
            complaints.seek(0)
            detail = complaints.read().decode("utf-8", "replace").strip()
    raise KscopeError(f"{program}: {reason}" + (f"\n{detail[-4000:]}" if detail else ""))


def free_symbols(cache: Any, pid: int) -> None:
    """SymbolCache has no destructor of its own; a long run would keep every process's symbols."""
    importlib.import_module("bcc.libbcc").lib.bcc_free_symcache(cache.cache, pid)


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
