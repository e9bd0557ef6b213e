"""Binaries of the programs: each source in the ways that compilers and packagers build."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests import needs

SOURCES = Path(__file__).resolve().parent / "programs"
_C = ("gcc", "-O2", "-pthread")
_FRAMES, _NO_FRAMES = "-fno-omit-frame-pointer", "-fomit-frame-pointer"
_GO = ("go", "build")
_V0 = ("-C", "symbol-mangling-version=v0")
# The same program with other functions at the same addresses, as an upgrade brings.
_RENAMED = [f"-D{name}=wrong_{name}" for name in ("one", "two", "three", "by_nanosleep")]


@dataclass(frozen=True)
class Build:
    """`stripped` says that the copy that runs has no symbols; the other copy keeps them."""

    source: str
    command: tuple[str, ...]
    stripped: bool = False


BUILDS = {
    "ways": Build("waits.c", (*_C, _FRAMES)),
    "ways-bare": Build("waits.c", (*_C, _NO_FRAMES)),
    "c": Build("waits.c", (*_C, "-DFEW", _FRAMES)),
    "c-bare": Build("waits.c", (*_C, "-DFEW", _NO_FRAMES)),
    "c-stripped": Build("waits.c", (*_C, "-DFEW", _NO_FRAMES), stripped=True),
    "c-static": Build("waits.c", (*_C, "-DFEW", _NO_FRAMES, "-static")),
    "c-replaced": Build("waits.c", (*_C, "-DFEW", _NO_FRAMES)),
    "c-replacing": Build("waits.c", (*_C, "-DFEW", _NO_FRAMES, *_RENAMED)),
    "cc": Build("waits.cc", ("g++", "-O2", _FRAMES)),
    "cc-bare": Build("waits.cc", ("g++", "-O2", _NO_FRAMES)),
    "cc-stripped": Build("waits.cc", ("g++", "-O2", _NO_FRAMES), stripped=True),
    "cc-static": Build("waits.cc", ("g++", "-O2", _NO_FRAMES, "-static")),
    "rust": Build("waits.rs", ("rustc", "-O", "-C", "force-frame-pointers=yes")),
    "rust-bare": Build("waits.rs", ("rustc", "-O")),
    "rust-v0": Build("waits.rs", ("rustc", "-O", *_V0)),
    "rust-stripped": Build("waits.rs", ("rustc", "-O"), stripped=True),
    "rust-static": Build("waits.rs", ("rustc", "-O", "-C", "target-feature=+crt-static")),
    "golang": Build("waits.go", _GO),
    "golang-c": Build("calls_c.go", _GO),
    "golang-stripped": Build("waits.go", (*_GO, "-ldflags", "-s -w")),
    "busy": Build("busy.c", (*_C, _FRAMES)),
    "busy-bare": Build("busy.c", (*_C, _NO_FRAMES)),
    # Bound at its start: the loader's lookup of a function keeps its caller where no walk finds it.
    "brief": Build("brief.c", (*_C, _NO_FRAMES, "-Wl,-z,now")),
    "reload": Build("reload.c", (*_C, _FRAMES)),
    "first.so": Build("plugin.c", (*_C, _FRAMES, "-shared", "-fPIC", "-DNAME=first")),
    "second.so": Build("plugin.c", (*_C, _FRAMES, "-shared", "-fPIC", "-DNAME=second")),
}
_COMPILERS = {"gcc": "gcc", "g++": "g++", "rustc": "rustc", "go": "golang-go"}


def twin(folder: Path, name: str) -> Path:
    """Return the copy of a binary that has its symbols."""
    return folder / "twins" / name


def build(folder: Path) -> None:
    """Build all, with as many compilers at a time as the machine has processors for."""
    (folder / "twins").mkdir()
    for compiler, package in _COMPILERS.items():
        needs.program(compiler, package)
    jobs = [lambda name=name: _build(folder, name) for name in BUILDS]
    with ThreadPoolExecutor(2) as pool:
        others = [lambda: _build_java(folder), lambda: _build_erlang(folder)]
        for done in [pool.submit(job) for job in [*jobs, *others]]:
            done.result()


def _build(folder: Path, name: str) -> None:
    build = BUILDS[name]
    target = twin(folder, name)
    source = SOURCES / build.source
    command = [*build.command, "-o", target, source]
    subprocess.run(command, check=True, env=_environment(folder))
    copy = ["strip", "-o"] if build.stripped else ["cp", "-T"]
    ends = [folder / name, target] if build.stripped else [target, folder / name]
    subprocess.run([*copy, *ends], check=True)


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"GOCACHE": str(folder / "go"), "GO111MODULE": "off"}


def _build_java(folder: Path) -> None:
    needs.program("javac", "default-jdk-headless")
    subprocess.run(["javac", "-d", folder, SOURCES / "App.java"], check=True)


def _build_erlang(folder: Path) -> None:
    needs.program("erlc", "erlang-base")
    subprocess.run(["erlc", "-o", folder, SOURCES / "shop.erl"], check=True)
