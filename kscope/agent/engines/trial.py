"""Compile a program for the first time, in a process that can crash, hang or use up its memory.

LLVM ends its process at some mistakes. This module is both sides: the agent calls `tried`, which
starts the other process.
"""

import ctypes
import hashlib
import json
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kscope.agent.host import header_tree
from kscope.agent.host.libbcc import bytecode, failure, functions, unattached
from kscope.errors import KscopeError

CPU_SECONDS = 300  # an emulated machine is 20 to 50 times slower
MEMORY_BYTES = 4 << 30
_WALL_SECONDS = 1500.0
_PRINTED = 16 << 20
_MOST_KEPT = 256
_turns = threading.BoundedSemaphore(os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Trial:
    """A program to compile. Its instructions must depend on each of the constants in `filters`."""

    program: str
    text: str
    constants: Mapping[str, str]
    filters: tuple[str, ...]
    headers: str


@dataclass(frozen=True, slots=True)
class Tried:
    """The program's functions, and the filters that make no difference to their instructions."""

    functions: list[str]
    unused: list[str]


def tried(trial: Trial) -> Tried:
    """Compile the program, or read the result of the last time. Raises KscopeError."""
    kept = _kept(trial)
    try:
        return Tried(**json.loads(kept.read_text()))
    except (OSError, ValueError, TypeError):
        pass
    with _turns, tempfile.TemporaryFile() as said:
        answer = _run(trial, said)
    _keep(kept, answer)
    return Tried(**json.loads(answer))


def _kept(trial: Trial) -> Path:
    known = (asdict(trial), platform.release(), platform.version(), platform.machine())
    digest = hashlib.blake2b(repr(known).encode(), digest_size=16).hexdigest()
    return header_tree.cache_folder() / f"tried-{digest}.json"


def _keep(path: Path, answer: str) -> None:
    try:
        kept = sorted(path.parent.glob("tried-*.json"), key=lambda each: each.stat().st_mtime)
        for old in kept[: max(0, len(kept) - _MOST_KEPT)]:
            old.unlink(missing_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(answer)
        Path(file.name).replace(path)
    except OSError:
        pass  # it is compiled again the next time


def _run(trial: Trial, said: Any) -> str:
    work = {"trial": asdict(trial), "cpu": CPU_SECONDS, "memory": MEMORY_BYTES}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "kscope.agent.engines.trial"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            input=json.dumps(work).encode(),
            stdout=subprocess.PIPE,
            stderr=said,
            timeout=_WALL_SECONDS,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _too_long(trial, _WALL_SECONDS) from None
    said.seek(0)
    detail = said.read().decode("utf-8", "replace")
    if done.returncode:
        raise _crash(trial, done.returncode, detail)
    if reason := json.loads(done.stdout).get("failed"):
        raise failure(Path(trial.program), reason, detail)
    return done.stdout.decode()


def _crash(trial: Trial, code: int, detail: str) -> KscopeError:
    if code in {-signal.SIGXCPU, -signal.SIGKILL}:
        return _too_long(trial, CPU_SECONDS)
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return failure(
        Path(trial.program),
        f"the compiler crashed ({name}); the usual causes are a division of signed numbers (divide "
        f"unsigned ones) and a need of more than {MEMORY_BYTES >> 20} MiB",
        detail,
    )


def _too_long(trial: Trial, seconds: float) -> KscopeError:
    return failure(
        Path(trial.program),
        f"it compiles for more than {seconds:.0f} s; make its code shorter, or unroll fewer rounds "
        "of its loops",
    )


# ---- the other process


def _confine(cpu: int, memory: int) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, _PRINTED),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))


def _instructions(trial: Trial, constants: Mapping[str, str]) -> dict[str, bytes]:
    """Return the instructions of each function, with 0 in place of the numbers of maps."""
    flags = [f"-D{name}={value}" for name, value in constants.items()]
    bpf = unattached(trial.text, flags)
    found = {
        name: b"".join(map(_comparable, re.findall(rb"(?s).{8}", bytecode(bpf, name))))
        for name in functions(bpf)[0]
    }
    bpf.cleanup()
    return found


def _comparable(instruction: bytes) -> bytes:
    loads_map = instruction[0] == 0x18 and instruction[1] >> 4
    return instruction[:4] if loads_map else instruction


def _answer(trial: Trial) -> dict[str, Any]:
    os.environ["BCC_KERNEL_SOURCE"] = trial.headers
    try:
        whole = _instructions(trial, trial.constants)
        without = (
            (name, _instructions(trial, {**trial.constants, name: "0"})) for name in trial.filters
        )
        unused = [name for name, other in without if other == whole]
        return {"functions": sorted(whole), "unused": unused}
    except Exception as error:  # noqa: BLE001 - bcc raises bare Exception
        return {"failed": str(error)}


def _main() -> None:
    work = json.load(sys.stdin)
    trial = Trial(**work["trial"])
    _confine(work["cpu"], work["memory"])
    answers = os.dup(1)
    os.dup2(2, 1)
    os.write(answers, json.dumps(_answer(trial)).encode())
    os._exit(0)  # bcc would detach what was never attached


if __name__ == "__main__":
    _main()
