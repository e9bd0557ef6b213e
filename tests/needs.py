"""A test's requirements: `needs.bpf()` skips the test, with a reason, if the machine has no BPF.

With KSCOPE_REQUIRE=all, as in CI, a missing part is a failure instead: a green run has skipped
nothing. KSCOPE_REQUIRE=bpf,qemu requires those alone. A test marked `bpf`, `qemu`, `browser`,
`mysql` or `clickhouse` asks by itself (see conftest.py).
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

_SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/bin"])
_DEBIAN_BCC = Path("/usr/lib/python3/dist-packages/bcc")


def lacking(what: str, reason: str) -> NoReturn:
    """Skip with the reason; fail where KSCOPE_REQUIRE asks for it."""
    required = os.environ.get("KSCOPE_REQUIRE", "").split(",")
    if "all" in required or what in required:
        pytest.fail(f"KSCOPE_REQUIRE asks for {what}: {reason}", pytrace=False)
    pytest.skip(reason)


def program(name: str, package: str) -> str:
    """Return the path of an installed program; skips, naming its Debian package, without it."""
    path = _which(name)
    if path is None:
        lacking(name, f"{name} is not installed (apt-get install {package})")
    return str(path)


def module(name: str, requirement: str) -> None:
    if importlib.util.find_spec(name) is None:
        lacking(name, f"the Python package {name} is not installed (pip install {requirement})")


def bpf() -> None:
    """Root, bcc, and a kernel that answers the bpf system call."""
    reason = _bpf_lack()
    if reason:
        lacking("bpf", reason)


def root(purpose: str) -> None:
    if os.geteuid() != 0:
        lacking("root", f"{purpose} needs root")


def qemu() -> str:
    for name, package in (("busybox", "busybox-static"), ("mke2fs", "e2fsprogs")):
        program(name, package)
    return program("qemu-system-x86_64", "qemu-system-x86")


def mariadb() -> str:
    return program("mariadbd", "mariadb-server")


def clickhouse() -> None:
    module("chdb", "chdb")
    module("clickhouse_connect", "clickhouse-connect")


def old_clickhouse() -> str:
    """Debian's, of 2018; beside it the parts of `clickhouse`."""
    clickhouse()
    return program("clickhouse-server", "clickhouse-server")


def chromium() -> str:
    """Chromium without windows if there is one: it takes half of the processor time."""
    module("playwright", "playwright")
    return _which("chromium-headless-shell") or program("chromium", "chromium")


def gcc() -> str:
    return program("gcc", "gcc")


def _which(name: str) -> str | None:
    return shutil.which(name, path=_SYSTEM_PATH)


@functools.cache
def _bpf_lack() -> str:
    if os.geteuid() != 0:
        return "loading BPF programs needs root"
    if not _DEBIAN_BCC.is_dir() and importlib.util.find_spec("bcc") is None:
        return "bcc is not installed (apt-get install python3-bpfcc)"
    bpftool = _which("bpftool")
    if bpftool is None:
        return "bpftool is not installed (apt-get install bpftool)"
    asked = subprocess.run([bpftool, "prog", "show"], capture_output=True, text=True, check=False)
    return f"the kernel refuses BPF: {asked.stderr.strip()}" if asked.returncode else ""
