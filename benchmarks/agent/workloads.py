"""Programs that wait all the time: each kind as users run it, started in a separate cgroup."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests import mariadb
from tests.stacks.stage import Program, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAMS = Path(__file__).resolve().parent / "programs"
_FRAMES, _NO_FRAMES = "-fno-omit-frame-pointer", "-fomit-frame-pointer"


class MissingError(Exception):
    """A program is not installed here."""


@dataclass(frozen=True)
class Workload:
    """`start` takes the milliseconds between two hand-overs."""

    name: str
    start: Callable[[Stage, int], Program]


def found(name: str, package: str) -> str:
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/usr/local/bin")
    if path is None:
        raise MissingError(f"{name} is not installed (apt-get install {package})")
    return path


def _c(stage: Stage, pause: int, depth: int, flag: str) -> Program:
    binary = stage.folder / f"pair{flag}"
    if not binary.exists():
        command = [found("gcc", "gcc"), "-O2", "-pthread", flag]
        subprocess.run([*command, PROGRAMS / "pair.c", "-o", binary], check=True)
    return stage.start(binary, depth, pause)


def _python(stage: Stage, pause: int) -> Program:
    return stage.start(found("python3", "python3"), PROGRAMS / "pair.py", pause)


def _node(stage: Stage, pause: int) -> Program:
    flags = ("--perf-basic-prof", "--interpreted-frames-native-stack")
    return stage.start(found("node", "nodejs"), *flags, PROGRAMS / "pair.js", pause)


def _java(stage: Stage, pause: int) -> Program:
    if not (stage.folder / "Pair.class").exists():
        compiler = found("javac", "default-jdk-headless")
        subprocess.run([compiler, "-d", stage.folder, PROGRAMS / "Pair.java"], check=True)
    flags = ("-XX:+PreserveFramePointer", "-Xmx64m", "-XX:+UseSerialGC")
    java = found("java", "default-jdk-headless")
    return stage.start(java, *flags, "-cp", stage.folder, "Pair", pause)


def _mariadb(stage: Stage, _pause: int) -> Program:
    """Return a server with four clients that add and read rows."""
    found("mariadbd", "mariadb-server")
    slap = found("mariadb-slap", "mariadb-client")
    server = mariadb.install(stage.folder / "mariadb")
    assert server.process
    program = stage.adopt(server.process, frozenset())
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.item (id SERIAL, name TEXT)")
    query = "INSERT INTO item (name) VALUES (UUID()); SELECT name FROM item WHERE id = 7"
    stage.start(
        *(slap, "--no-defaults", "-uroot", f"-S{server.socket}", "--create-schema=shop"),
        *("--concurrency=4", "--number-of-queries=100000000", "--delimiter=;"),
        *(f"--query={query}", "--no-drop", "--silent"),
        ready="",
    )
    return program


WORKLOADS = (
    Workload("C, few frames", lambda stage, pause: _c(stage, pause, 0, _FRAMES)),
    Workload("C, 30 frames", lambda stage, pause: _c(stage, pause, 25, _FRAMES)),
    Workload(
        "C, 30 frames, no frame pointers", lambda stage, pause: _c(stage, pause, 25, _NO_FRAMES)
    ),
    Workload("MariaDB", _mariadb),
    Workload("Python", _python),
    Workload("Node.js", _node),
    Workload("Java", _java),
)
# One machine can run many of those.
SMALL = tuple(each for each in WORKLOADS if each.name != "MariaDB")


@contextmanager
def running(workload: Workload, folder: Path) -> Iterator[Program]:
    with Stage(folder, "benchmark") as stage:
        yield workload.start(stage, 0)
