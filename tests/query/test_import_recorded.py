"""`perf record` of a program that this test starts, and `kscope import` of it in many ways."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.commands import command
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """\
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

static volatile long sum;

__attribute__((noinline)) void hot(void) { for (int i = 0; i < 100000; i++) sum += i; }

__attribute__((noinline)) void touch(void) {
    char *memory = malloc(1 << 22);
    memset(memory, 1, 1 << 22);
    free(memory);
}

int main(void) {
    struct timespec now;
    prctl(PR_SET_NAME, "io [w]: 1/x");
    do {
        hot();
        touch();
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while (now.tv_sec == 0 && now.tv_nsec < 200000000);
    return 0;
}
"""
COMM = "io [w]: 1/x"


@dataclass(frozen=True)
class Recording:
    """Files that perf wrote: of one event, and of two."""

    one: Path
    two: Path

    def counted(self) -> int:
        """Return the samples of the one event, as perf's own report counts them."""
        (number,) = counted(self.one).values()
        return number


def perf(*arguments: str | Path) -> str:
    path = needs.program("perf", "linux-perf")
    done = subprocess.run([path, *arguments], capture_output=True, check=False)
    said = done.stderr.decode(errors="replace")
    if arguments[0] == "record" and done.returncode and "ermission" in said:
        needs.lacking("perf", f"the kernel does not let perf record: {said[:200]}")
    assert done.returncode == 0, said
    return done.stdout.decode(errors="replace")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "app.c").write_text(PROGRAM)
    build = [needs.gcc(), "-g", "-O1", "-fno-omit-frame-pointer", "app.c", "-o", "app"]
    subprocess.run(build, cwd=folder, check=True)
    found = Recording(folder / "one.data", folder / "two.data")
    options = ("record", "-q", "-F", "499", "-g", "--data", "--weight")
    perf(*options, "-e", "cpu-clock", "-o", found.one, "--", folder / "app")
    perf(*options, "-e", "cpu-clock,page-faults", "-o", found.two, "--", folder / "app")
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


def stacks(server: Serving, host: str, printed: str, *options: str) -> dict[str, int]:
    """Import what `perf script` printed; return the samples of each stack."""
    given = ("import", "profile", "-", "--hostname", host, "--server", server.ingest, *options)
    done = command(*given, stdin=printed.encode())
    assert done.returncode == 0, done.stderr
    answer = server.get(
        "/api/v1/flamegraph/profile", hostname=host, value="samples", format="folded"
    )
    lines = (line.rpartition(" ") for line in answer.text.splitlines())
    return {stack: int(number) for stack, _, number in lines}


def counted(data: Path) -> dict[str, int]:
    """Return the samples of each event, as perf's own report counts them."""
    report = perf("report", "--stdio", "-n", "--no-children", "--sort", "comm", "-i", data)
    found = re.findall(r"# Samples: (\d+)  of event '([^']+)'", report)
    assert found, report[:1000]
    return {event: int(number) for number, event in found}


# Fields and options of `perf script`; with names of functions or without.
WAYS = [
    ((), True),
    (("-F", "+pid"), True),
    (("-F", "-dso"), True),
    (("-F", "+srcline"), True),
    (("-F", "+misc,+flags"), True),
    (("-F", "+addr,+weight,+data_src"), True),
    (("-G", "-F", "+addr,+weight,+data_src"), True),
    (("-F", "comm,tid,time,event,ip,sym,dso"), True),
    (("-F", "comm,ip,sym"), True),
    (("-F", "tid,ip,sym"), True),
    (("-F", "time,ip,sym,dso"), True),
    (("-F", "event,ip,sym"), True),
    (("-F", "period,ip,sym"), True),
    (("-F", "ip,sym"), True),
    (("-F", "ip,sym,dso"), True),
    (("-F", "ip"), False),
    (("-F", "pid,tid,time,event,ip,dso"), False),
    (("-F", "comm,tid,time,period,event"), False),
    (("--ns",), True),
    (("--reltime",), True),
    (("--deltatime",), True),
    (("--header",), True),
    (("--no-inline",), True),
    (("--show-mmap-events", "--show-task-events", "--show-lost-events"), True),
    (("-G",), True),
    (("-G", "-F", "ip,sym"), True),
    (("-G", "-F", "comm,time,ip,sym,dso"), True),
]


@pytest.mark.parametrize(("options", "named"), WAYS, ids=str)
def test_a_recording_has_the_same_samples_in_every_way_that_perf_prints_it(
    server: Serving, recording: Recording, options: tuple[str, ...], *, named: bool
) -> None:
    """As many as perf counts, and as many of them in each function."""
    printed = perf("script", "-i", recording.one, *options)
    host = " ".join(options) or "default"
    found = stacks(server, host, printed)
    assert sum(found.values()) == recording.counted()
    if named:
        plain = perf("script", "-i", recording.one, "-G", "-F", "ip,sym")
        in_hot = len(re.findall(r" hot$", plain, re.MULTILINE))
        assert in_hot > 0
        leaves = ((stack.split(";")[-1].split(" [")[0], count) for stack, count in found.items())
        assert sum(count for leaf, count in leaves if leaf == "hot") == in_hot
    fields = options[-1] if "-F" in options else "+"
    comm = COMM if fields[0] in "+-" or "comm" in fields else "[unknown]"
    assert {stack.split(";")[0] for stack in found} == {comm}


def test_two_events_are_told_apart(server: Serving, recording: Recording) -> None:
    """Each has the samples that perf counts, and their stacks alone."""
    numbers = counted(recording.two)
    assert len(numbers) == 2
    printed = perf("script", "-i", recording.two, "-F", "+pid")
    for event, number in numbers.items():
        found = stacks(server, f"two {event}", printed, "--event", event)
        assert sum(found.values()) == number


def test_the_time_is_that_of_the_processor(server: Serving, recording: Recording) -> None:
    """The periods of cpu-clock say it, and so does the rate in the header without them."""
    printed = perf("script", "-i", recording.one, "--header")
    number = recording.counted()
    stacks(server, "timed", printed)
    without = re.sub(r"(: +)\d+( +cpu-clock:)", r"\1\2", printed)
    assert "cpu-clock" in without
    stacks(server, "by the header", without)
    for host in ("timed", "by the header"):
        answer = server.get("/api/v1/flamegraph/profile", hostname=host, format="folded")
        total = sum(int(line.rpartition(" ")[2]) for line in answer.text.splitlines())
        assert total == pytest.approx(number * 1_000_000 / 499, rel=0.01)
