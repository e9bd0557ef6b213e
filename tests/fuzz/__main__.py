"""Fuzz one target in this process, or all of them in separate processes; see scripts/fuzz."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import traceback
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz import bounds, fault
from tests.fuzz.target import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.fuzz.target import Target

ROOT = Path(__file__).resolve().parent.parent.parent
FOUND = ROOT / ".work" / "fuzz"
# Exit code of a process that found something.
FAULT = 77
# Of a target's process: to start, and to finish its last input.
_SPARE_SECONDS = 120
_EVERY = 10.0


def main() -> int:
    """Return 0 if nothing was found."""
    given_ = _parser().parse_args()
    if given_.again:
        return _again(*given_.again)
    if given_.one:
        return _one(given_.one, given_.examples, given_.seconds, atheris=given_.atheris)
    return _all(given_.targets, given_.minutes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("minutes", nargs="?", type=float, default=10.0, help="in all: 10")
    parser.add_argument("targets", nargs="*", help="those whose names start so: all")
    parser.add_argument(
        "--again",
        nargs=2,
        metavar=("TARGET", "FILE"),
        help="run one input again, with its traceback",
    )
    for name, kind in (("--one", str), ("--examples", int), ("--seconds", float)):
        parser.add_argument(name, type=kind, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--atheris", action="store_true", help=argparse.SUPPRESS)
    return parser


def _all(wanted: list[str], minutes: float) -> int:
    """Fuzz one target after the other, each for its part of the time."""
    names = _names(wanted)
    if not names:
        _say("no target has such a name")
        return 2
    atheris = _has_atheris()
    how = "atheris, guided by coverage" if atheris else "hypothesis, not guided by coverage"
    seconds = max(1.0, minutes * 60 / len(names))
    _say(f"{len(names)} targets, {seconds:.0f} s each, with {how}")
    found = []
    for number, name in enumerate(names, 1):
        _say(f"[{number}/{len(names)}] {name}")
        if _in_process(name, seconds, atheris=atheris):
            found.append(name)
    _say(f"faults in: {', '.join(found)}" if found else "nothing was found")
    return 1 if found else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _names(wanted: list[str]) -> list[str]:
    known = [name for name in _targets() if name != fault.TARGET.name or name in wanted]
    return [name for name in known if not wanted or name.startswith(tuple(wanted))]


def _targets() -> Mapping[str, Target]:
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - imports much, which atheris looks into

    return {**TARGETS, fault.TARGET.name: fault.TARGET}


def _has_atheris() -> bool:
    done = subprocess.run(
        [sys.executable, "-c", "import atheris"], capture_output=True, check=False
    )
    return done.returncode == 0


def _in_process(name: str, seconds: float, *, atheris: bool) -> int:
    """Return the exit code of a process that fuzzes the target for so long."""
    command = [sys.executable, "-m", "tests.fuzz", "--one", name, "--seconds", str(seconds)]
    command += ["--atheris"] if atheris else []
    log = _last(name).with_name("log")
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("wb") as file:
            done = subprocess.run(
                command, cwd=ROOT, check=False, timeout=seconds + _SPARE_SECONDS, stderr=file
            )
    except subprocess.TimeoutExpired:
        _say(f"{name}: hangs: it did not end in time; its input is {_last(name)}")
        return FAULT
    if done.returncode:
        _say(f"{name}: ended with {done.returncode}; the last input is {_last(name)}, see {log}")
    return done.returncode


def _last(name: str) -> Path:
    return FOUND / name / "last"


def _one(name: str, examples: int | None, seconds: float | None, *, atheris: bool) -> int:
    """Fuzz a target here, for a number of examples or of seconds."""
    if atheris:
        from tests.fuzz import guided  # noqa: PLC0415 - before all that it looks into

        target = guided.targets()[name]
    else:
        target = _targets()[name]
    _last(name).parent.mkdir(parents=True, exist_ok=True)
    bounds.limit()
    run = _Run(target)
    if atheris:
        guided.run(run, run.seeds, FOUND / name / "corpus", seconds or 60.0)
    elif seconds is None:
        _examples(run, target, examples or 100, 1)
    else:
        end, number = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            number += 1
            _examples(run, target, 500, number)
    _say(f"  {run.count} inputs, nothing found")
    return 0


class _Run:
    """Runs inputs of a target. A fault is kept in a file, said, and ends the process."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.seeds = list(target.seeds())
        self.count = 0
        self._take = target.open()
        self._told = time.monotonic()
        answers = [self(each) for each in self.seeds]
        if answers and all(isinstance(each, int) for each in answers) and 200 not in answers:
            raise Finding(f"{target.name}: none of the inputs that are changed is a right one")
        self._growth = bounds.Growth()

    def __call__(self, data: bytes) -> object:
        last = _last(self.target.name)
        last.write_bytes(data)
        try:
            with bounds.timed():
                answer = self._take(data)
            self.count += 1
            if self.count % 500 == 0 and hasattr(self, "_growth"):
                self._growth.check()
        except BaseException as fault:
            self._tell(data, fault)
            raise
        self._progress()
        return answer

    def _tell(self, data: bytes, fault: BaseException) -> None:
        if isinstance(fault, KeyboardInterrupt):
            return
        name = self.target.name
        file = FOUND / name / blake2b(data, digest_size=8).hexdigest()
        file.write_bytes(data)
        _say(f"{name}: {type(fault).__name__}: {str(fault)[:400]}")
        _say(f"  its input is {file}; again with: scripts/fuzz --again {name} {file}")

    def _progress(self) -> None:
        if time.monotonic() > self._told + _EVERY:
            self._told = time.monotonic()
            _say(f"  {self.count} inputs")


def _examples(run: Callable[[bytes], None], target: Target, count: int, number: int) -> None:
    """Run this many examples, the same ones for the same number."""
    from tests.fuzz.changes import inputs  # noqa: PLC0415 - not for atheris

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(inputs(target))
    def check(data: bytes) -> None:
        run(data)

    check()


def _again(name: str, file: str) -> int:
    bounds.limit()
    take = _targets()[name].open()
    with bounds.timed():
        take(Path(file).read_bytes())
    _say("nothing is wrong with it")
    return 0


def _ended() -> int:
    """Return the exit code, also after a fault, which is said with its traceback."""
    try:
        return main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - hangs and growth too
        traceback.print_exc()
        return FAULT


if __name__ == "__main__":
    code = _ended()
    sys.stdout.flush()
    sys.stderr.flush()
    # Without waiting for the threads of a server that has no end here.
    os._exit(code)
