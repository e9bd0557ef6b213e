"""`kscope import`: recordings in, flame graphs out."""

from __future__ import annotations

import gzip
import os
import pty
import re
import subprocess
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from kscope.client.retry import pause_after
from tests.commands import command
from tests.days import DAY, MOMENT, NOON, SPAN
from tests.serving import ROOT, Serving, kscope, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Lines as perf 6.1 prints them: with and without a process, a CPU, a period, a symbol.
PERF = """\
# captured on: Mon Nov 23 2026
python3 900/901 [001]  4834.352313:    5025125 cpu-clock:ppp:
{tab}ffffffff81a2e0f1 __schedule+0x2e ([kernel.kallsyms])
{tab}ffffffffc0310aaa btrfs_sync_file+0x1a ([btrfs])
{tab}           fd8b5 _PyEval_EvalFrameDefault+0x2d45 (/usr/bin/python3.11)
{tab}    7f91139b1c40 [unknown] ([unknown])
{tab}           29f80 std::vector<int, A<int> >::at(unsigned long)+0x3 (/lib/libfoo.so.6 (deleted))

tmux: server 22 4835.357646:    5025125 cpu-clock:
{tab}          194c0c __poll (inlined)

""".replace("{tab}", "\t")


CPP = "std::vector<int, A<int> >::at(unsigned long) [libfoo.so.6]"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again as often as ever, after a hundredth of the time."""
    monkeypatch.setattr(
        "kscope.readers.importer.pause_after", lambda *given: pause_after(*given) / 100
    )


def run(
    server: Serving,
    *arguments: str | Path,
    code: int = 0,
    stdin: bytes = b"",
    folder: Path = ROOT,
) -> str:
    given = ("import", *arguments, "--server", server.ingest)
    done = command(*given, stdin=stdin, folder=folder)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def folded(server: Serving, table: str, host: str, value: str = "") -> list[str]:
    path = f"/api/v1/flamegraph/{table}"
    answer = server.get(path, **SPAN, hostname=host, value=value, format="folded")
    assert answer.status_code == 200, answer.text
    return answer.text.splitlines()


def test_what_is_exported_folded_is_imported_again(server: Serving, tmp_path: Path) -> None:
    """The first frame is the process; twice the same file is stored once; .gz is read."""
    lines = ["dd;main;write_[k] 7", "mysqld 3", "nginx;a;b;c 123456789"]
    file = tmp_path / "old.folded.gz"
    file.write_bytes(gzip.compress("\n".join(["# comment", "", *lines]).encode()))
    arguments = ("offcputime", file, *MOMENT, "--hostname", "round-trip")
    assert "3 rows sent, 0 of them stored before" in run(server, *arguments)
    assert "3 rows sent, 3 of them stored before" in run(server, *arguments)
    assert folded(server, "offcputime", "round-trip") == lines


def test_perf_script_becomes_samples_at_their_times(server: Serving) -> None:
    """Kernel and library frames are marked, C++ names are whole, a name may hold spaces."""
    options = ("--format", "perf", *MOMENT, "--hostname", "perf")
    run(server, "profile", "-", *options, stdin=PERF.encode())
    assert folded(server, "profile", "perf", "samples") == [
        f"python3;{CPP};[unknown];_PyEval_EvalFrameDefault;btrfs_sync_file_[k];__schedule_[k] 1",
        "tmux: server;__poll 1",
    ]
    rows = server.get("/api/v1/rows/profile", hostname="perf", order="time", **SPAN).json()
    found = [dict(zip(rows["columns"], row, strict=True)) for row in rows["rows"]]
    assert [(row["pid"], row["tid"]) for row in found] == [(900, 901), (0, 22)]
    assert found[1]["time"] - found[0]["time"] == 1_005_333


def test_a_clock_event_has_its_time_in_microseconds(server: Serving) -> None:
    """Into a category of elapsed time the period of cpu-clock goes as such."""
    options = ("--format", "perf", *MOMENT, "--hostname", "clock")
    run(server, "offcputime", "-", *options, stdin=PERF.encode())
    assert [line.rsplit(" ", 1)[1] for line in folded(server, "offcputime", "clock")] == [
        "5025",
        "5025",
    ]


def test_ndjson_rows_keep_their_own_time_and_host(server: Serving, tmp_path: Path) -> None:
    """Rows exported by `format=ndjson` are imported as the same rows."""
    run(
        server,
        "offcputime",
        "-",
        "--format",
        "folded",
        *MOMENT,
        "--hostname",
        "out",
        stdin=b"a;b 5",
    )
    exported = server.get("/api/v1/rows/offcputime", format="ndjson", hostname="out", **SPAN).text
    file = tmp_path / "rows.ndjson"
    file.write_text(exported.replace('"out"', '"back"'))
    assert "1 rows sent" in run(server, "offcputime", file)
    assert folded(server, "offcputime", "back") == ["a;b 5"]


def test_what_is_given_wins_over_what_a_row_says(server: Serving, tmp_path: Path) -> None:
    """Rows that kscope exported go to the host that --hostname names, with the values of --set."""
    row = f'{{"time": "{NOON}", "hostname": "theirs", "process": "a", "pid": 1'
    file = tmp_path / "rows.ndjson"
    file.write_text(f'{row}, "stack": "main", "elapsed": 5}}\n')
    run(server, "offcputime", file, "--hostname", "ours", "--set", "process=b", "--set", "pid=7")
    assert folded(server, "offcputime", "theirs") == []
    assert folded(server, "offcputime", "ours") == ["b;main 5"]


def test_a_number_is_stored_as_it_stands_there(server: Serving) -> None:
    """A row keeps whole numbers above 2^53; a fraction is refused, and nothing is rounded."""
    options = ("offcputime", "-", "--format", "folded", *MOMENT, "--hostname", "exact")
    run(server, *options, stdin=b"a;b 9007199254740993\na;c 5.0\n")
    stored = server.get("/api/v1/rows/offcputime", hostname="exact", **SPAN).json()
    place = stored["columns"].index("elapsed")
    assert sorted(row[place] for row in stored["rows"]) == [5, 9007199254740993]
    said = run(server, *options, code=1, stdin=b"a;b 1\na;b 1.5\n")
    assert said == "-:2: 1.5 is not a whole number, as elapsed are\n"


def test_it_goes_by_the_configuration(server: Serving, tmp_path: Path) -> None:
    """A category in a folder that kernelscope.yaml names needs no --categories; with such a file
    elsewhere, --config does.
    """
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/cpu.yaml").write_text("table: cpu\ncolumns: [{name: n, type: count}]\n")
    config = tmp_path / "kernelscope.yaml"
    config.write_text("categories: [builtin, mine]\nagent: {server: 'http://127.0.0.1:9'}\n")
    options = ("cpu", "-", "--format", "ndjson")
    # The server does not know it: which it says only once it is asked.
    for way, folder in (((), tmp_path), (("--config", config), ROOT)):
        said = run(server, *options, *way, code=1, stdin=b'{"n": 1}\n', folder=folder)
        assert said.startswith("-:1-1: HTTP 422"), said
    done = command("import", *options, stdin=b'{"n": 1}', folder=tmp_path)
    assert "http://127.0.0.1:9" in done.stderr


def test_a_recording_ends_when_its_file_was_written(server: Serving) -> None:
    """The output of a running `perf script` is imported immediately: its last sample is recent."""
    before = time.time_ns() // 1000
    run(server, "profile", "-", "--format", "perf", "--hostname", "live", stdin=PERF.encode())
    after = time.time_ns() // 1000
    answer = server.get("/api/v1/rows/profile", hostname="live", order="time").json()
    first, last = [row[answer["columns"].index("time")] for row in answer["rows"]]
    assert before <= last <= after
    # Seconds since 1970 as floating point hold microseconds only just.
    assert last - first == pytest.approx(1_005_334, abs=3)


def test_a_refusal_is_said_once(server: Serving) -> None:
    """The server's sentence holds the first place and what is wrong there."""
    options = ("--format", "ndjson", *MOMENT)
    said = run(server, "offcputime", "-", *options, code=1, stdin=b'{"proces": 1}\n')
    assert said.count("'process' is missing") == 1, said


def test_rows_that_will_not_stay_are_warned_of(server: Serving, tmp_path: Path) -> None:
    """A recording older than the category keeps its rows."""
    file = tmp_path / "old.folded"
    file.write_text("a;b 1\n")
    given = ("import", "offcputime", file, "--time", "2020-01-01", "--server", server.ingest)
    done = command(*given)
    assert done.returncode == 0
    assert "rows go back to 2020-01-01T00:00:00Z; offcputime keeps rows for 14 days" in done.stderr


def test_perf_without_stacks_keeps_the_symbol(server: Serving) -> None:
    """Recorded without -g, the function stands behind the event."""
    lines = "dd 7 1.0: 1000000 cpu-clock:ppp:  ffff81 write+0x2 ([kernel.kallsyms])\n"
    lines += "dd 7 1.1: 1000000 cpu-clock:  55d1 main+0x1f (/bin/dd)\n"
    options = ("--format", "perf", *MOMENT, "--hostname", "flat")
    run(server, "profile", "-", *options, stdin=lines.encode())
    assert folded(server, "profile", "flat", "samples") == ["dd;main 1", "dd;write_[k] 1"]


def test_a_mistake_of_perf_names_its_place_without_a_time(server: Serving) -> None:
    """Also where its length must be known before a row is sent."""
    said = run(server, "profile", "-", "--format", "perf", code=1, stdin=b"hello\n")
    assert said.startswith("-:1: is neither a sample nor a frame")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not gzip at all", "broken.folded.gz: is not what gzip wrote"),
        (gzip.compress(b"a;b 1\n" * 9)[:-12], "broken.folded.gz: is cut off"),
        (b"\x1f\x8b\x08\x00" + b"\xff" * 40, "broken.folded.gz: is not what gzip wrote"),
    ],
    ids=["not gzip", "cut off", "damaged"],
)
def test_a_broken_archive_is_told(
    server: Serving, tmp_path: Path, content: bytes, said: str
) -> None:
    """Which file it is, and what is the matter with it."""
    file = tmp_path / "broken.folded.gz"
    file.write_bytes(content)
    assert said in run(server, "offcputime", file, *MOMENT, code=1)


def test_a_token_file_of_something_else_is_told(server: Serving, tmp_path: Path) -> None:
    """It is not what `kscope token` printed."""
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe")
    arguments = ("offcputime", "-", "--format", "folded", "--token-file", file)
    assert f"{file}: holds no token" in run(server, *arguments, code=2)


@pytest.mark.parametrize(
    ("arguments", "stdin", "said", "code"),
    [
        (("offcputim", "-", "--format", "folded"), "", "there is no table 'offcputim'", 2),
        (("offcputime", "no.folded"), "", "no.folded: cannot be read", 1),
        (
            ("offcputime", "-"),
            "hello\n",
            "it begins with 'hello'; name its format with --format",
            2,
        ),
        (("offcputime", "-"), " \n", "-: is empty: there is nothing to import", 1),
        (("offcputime", "-"), "PERFILE2", "-: is perf's own file: run `perf script", 1),
        (("offcputime", "-"), "a;work 31 50\n", "-:1: has two numbers, as a comparison has", 1),
        (("offcputime", "-"), "a;b 1\n".encode("utf-16"), "is UTF-16: convert it to UTF-8", 1),
        (
            ("offcputime", "-"),
            "a;b 1\n".encode("utf-16-le"),
            "-: is in no format that is known, ",
            2,
        ),
        (("offcputime", "-"), b"PK\3\4" + bytes(40), "-: is a zip archive: extract it", 1),
        (("offcputime", "-"), bytes(257) + b"ustar\0", "-: is a tar archive: extract it", 1),
        (("offcputime", "-"), gzip.compress(gzip.compress(b"a 1")), "is compressed twice", 1),
        (("offcputime", "-"), b"\xfd7zXZ\0\0\4", "is compressed by xz: decompress it", 1),
        (("offcputime", "-"), '{"traceEvents": []}', "is a trace of Chrome", 1),
        (("offcputime", "-"), '{"nodes":[{"id":1}]}', "is a profile of Chrome or Node: open", 1),
        (
            ("biolatency", "-"),
            "{'ts': '2026-11-23', 'data': []}",
            "import their output without -j",
            1,
        ),
        (("offcputime", "-", "-"), "a;b 1\n", "- is named more than once", 2),
        (("profile", "-", "--frequency", "nan"), "a;b 1", "'nan' is not a number above 0", 2),
        (("profile", "-", "--frequency", "1e309"), "a;b 1", "is not a number above 0", 2),
        (
            ("offcputime", "-", "--format", "folded"),
            "a;b 1\na;b x\n",
            "-:2: must end with a number, as in main;write 42, not with 'x'",
            1,
        ),
        (
            ("offcputime", "-", "--format", "folded"),
            "hello\nyou\n",
            "-: has no rows in the format folded: 2 lines skipped: must end with a number",
            1,
        ),
        (
            ("offcputime", "-", "--format", "perf"),
            "hello\n",
            "-:1: is neither a sample nor a frame",
            1,
        ),
        (("offcputime", "-", "--format", "ndjson"), "[1]\n", "-:1: is not an object", 1),
        (("offcputime", "-", "--format", "ndjson"), '{"proces": 1}\n', "-:1-1: HTTP 422", 1),
        (("marker", "-", "--format", "folded"), "a 1", "marker has no stack column", 1),
        (("offcputime", "-", "--format", "folded", "--set", "pid=x"), "a 1", "is not a number", 2),
        (("offcputime", "-", "--format", "folded", "--value", "x"), "a 1", "has elapsed, count", 1),
        (
            ("offcputime", "-", "--format", "perf"),
            "dd 1 [000] 1.0: 7 cycles:\n\t1 main (/bin/dd)\n",
            "event cycles does not say how much elapsed",
            1,
        ),
        (
            ("offcputime", "-", "--format", "perf"),
            "dd 1 [000] 1.0: cpu-clock:\n\t1 main (/bin/dd)\n",
            "-:1: event cpu-clock has no period",
            1,
        ),
    ],
)
def test_a_mistake_names_its_place(
    server: Serving, arguments: tuple[str, ...], stdin: str | bytes, said: str, code: int
) -> None:
    """The file, the line, what is wrong and what to do; nothing of it is stored."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    assert said in run(server, *arguments, *MOMENT, code=code, stdin=given)


def test_a_file_that_cannot_be_read_keeps_no_other_back(server: Serving, tmp_path: Path) -> None:
    """Files of several formats are sent one by one; the last sentence names those that failed."""
    contents = {"one": b"a;b 1\n", "two": b"\0\1", "three": b"@[a]: 5\n", "four": b"a;c 2\n"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    given = ("offcputime", *contents, *MOMENT, "--hostname", "several")
    said = run(server, *given, code=1, folder=tmp_path)
    assert "two: is in no format that is known" in said
    assert "three: no map and no printed line fits offcputime: @ has no stack" in said
    assert said.endswith("2 of 4 files were not imported, or not whole: two, three\n")
    assert folded(server, "offcputime", "several") == ["a;b 1", "a;c 2"]


def test_each_table_takes_a_recording_once(server: Serving) -> None:
    """A start is the same however it is written."""
    content = b"a;b 5\na;c 7\n"
    for table in ("offcputime", "offwaketime"):
        given = (table, "-", "--hostname", "tables")
        assert "2 rows sent, 0 of them" in run(server, *given, *MOMENT, stdin=content)
        again = ("--time", f"{DAY} 13:00+01:00")
        assert "2 rows sent, 2 of them" in run(server, *given, *again, stdin=content)


def test_damaged_and_deep_lines_of_folded_text(server: Serving) -> None:
    """A warning between stacks is skipped and counted; a first line may be longer than a read."""
    deep = ";".join(f"f{n % 10}" for n in range(20_000))
    content = f"{deep} 3\na;b 1\nWARNING: 7 stacks lost.\na;c 2\n"
    given = ("import", "offcputime", "-", *MOMENT, "--hostname", "damaged")
    done = command(*given, "--server", server.ingest, stdin=content.encode())
    assert done.returncode == 0, done.stderr
    assert "1 line skipped: must end with a number, as in main;write 42 (the first" in done.stderr
    assert sorted(folded(server, "offcputime", "damaged")) == ["a;b 1", "a;c 2", f"{deep} 3"]


def test_a_recording_that_comes_twice_counts_once(server: Serving, tmp_path: Path) -> None:
    """Whenever it is piped in, from a file of any name, compressed or not; unless another start
    says that it is another recording.
    """
    given = ("offcputime", "-", "--hostname", "twice")
    content = b"a;b 5\na;c 7\n"
    assert "2 rows sent, 0 of them" in run(server, *given, stdin=content)
    time.sleep(0.01)
    assert "2 rows sent, 2 of them" in run(server, *given, stdin=content)
    file = tmp_path / "recording"
    file.write_bytes(gzip.compress(content))
    assert "2 rows sent, 2 of them" in run(server, "offcputime", file, "--hostname", "twice")
    assert "2 rows sent, 0 of them" in run(server, *given, *MOMENT, stdin=content)
    file.write_bytes(content + b"a;d 9\n")
    assert "3 rows sent, 0 of them" in run(server, "offcputime", file, "--hostname", "twice")


@pytest.mark.parametrize(
    ("options", "number", "elapsed", "samples"),
    [
        (("--frequency", "100"), "250", 2_500_000, 250),
        ((), "250", 0, 250),
        (("--value", "samples"), "250", 0, 250),
        (("--unit", "ms"), "250", 250_000, 1),
        (("--unit", "ns"), "1500", 1, 1),
        (("--unit", "us", "--scale", "0.5"), "3", 1, 1),
        (("--scale", "2", "--frequency", "50"), "2", 80_000, 4),
    ],
)
def test_numbers_of_samples_become_time_by_their_rate(
    server: Serving, options: tuple[str, ...], number: str, elapsed: int, samples: int
) -> None:
    """Folded text of a profiler counts samples, unless the user names another unit."""
    host = f"rate {' '.join(options)}"
    run(
        server,
        "profile",
        "-",
        *MOMENT,
        *options,
        "--hostname",
        host,
        stdin=f"a;b {number}".encode(),
    )
    assert folded(server, "profile", host, "samples") == [f"a;b {samples}"]
    assert folded(server, "profile", host, "elapsed") == ([f"a;b {elapsed}"] if elapsed else [])


def test_frames_behind_the_delimiter_are_those_of_the_kernel(server: Serving) -> None:
    """bcc's -d writes `-` between the frames of the program and of the kernel."""
    content = b"app;main;-;read;schedule 5\nkworker;-;work_[k] 3\n"
    run(server, "offcputime", "-", *MOMENT, "--hostname", "delimited", stdin=content)
    assert folded(server, "offcputime", "delimited") == [
        "app;main;read_[k];schedule_[k] 5",
        "kworker;work_[k] 3",
    ]


def test_a_mark_of_the_byte_order_is_no_text(server: Serving) -> None:
    """Editors put it before the first line."""
    run(server, "offcputime", "-", *MOMENT, "--hostname", "bom", stdin=b"\xef\xbb\xbfapp;a 4\r\n")
    assert folded(server, "offcputime", "bom") == ["app;a 4"]


def test_fractions_of_a_unit_are_not_lost(server: Serving) -> None:
    """A thousand waits of 1.5 us are 1500 us."""
    content = "".join(f"a;b{n % 2} 1500\n" for n in range(1000)).encode()
    options = (*MOMENT, "--unit", "ns", "--hostname", "carried")
    run(server, "offcputime", "-", *options, stdin=content)
    numbers = [int(line.rsplit(" ", 1)[1]) for line in folded(server, "offcputime", "carried")]
    assert sum(numbers) == 1500
    assert max(numbers) - min(numbers) <= 500


def test_a_line_without_end_is_skipped_and_counted(server: Serving) -> None:
    """Memory stays bounded, and the other lines arrive."""
    content = b"a;b 1\n" + b"x;" * 2_000_000 + b"y 1\na;c 2\n"
    given = ("import", "offcputime", "-", *MOMENT, "--hostname", "long", "--format", "folded")
    done = command(*given, "--server", server.ingest, stdin=content)
    assert done.returncode == 0, done.stderr
    assert "1 line skipped: longer than 1 MiB (the first is line 2)" in done.stderr
    assert folded(server, "offcputime", "long") == ["a;b 1", "a;c 2"]


def test_an_option_that_a_format_does_not_heed_is_refused(server: Serving) -> None:
    """NDJSON names its columns and units."""
    said = run(server, "offcputime", "-", "--unit", "ms", code=2, stdin=b'{"elapsed": 1}\n')
    assert "--unit does not fit the format ndjson, which takes none of them" in said


@pytest.mark.parametrize("packed", [False, True])
def test_a_terminal_shows_how_far_an_import_is(
    server: Serving,
    tmp_path: Path,
    packed: bool,  # noqa: FBT001
) -> None:
    """In percent of the file, in one line that goes away at the end."""
    file = tmp_path / "long.folded"
    content = "".join(f"app;main;f{n % 100} {n}\n" for n in range(40_000)).encode()
    file.write_bytes(gzip.compress(content + b"damaged\n", 1) if packed else content)
    own, terminal = pty.openpty()
    given = kscope("import", "offcputime", file, *MOMENT, "--server", server.ingest)
    done = subprocess.Popen(given, cwd=ROOT, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    shown = b""
    with suppress(OSError):  # the end of a terminal is an error
        while piece := os.read(own, 4096):
            shown += piece
    os.close(own)
    out, _ = done.communicate()
    text = shown.decode()
    shares = [int(share) for share in re.findall(r"(\d+) % of [\d.]+ MiB sent, \d+ rows", text)]
    assert shares
    assert shares == sorted(shares)
    assert re.search(r"sent, \d+ rows\r\x1b\[K", text)
    if packed:
        assert b"40000 rows sent, 0 of them stored before, 1 lines skipped" in out
        assert "1 line skipped: must end with a number" in text
    else:
        assert b"40000 rows sent, 0 of them stored before" in out


def test_a_pipe_with_a_name_is_read_whole(server: Serving, tmp_path: Path) -> None:
    """As a shell's <(command) is; a second pass would find it empty."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[b"app;a 1\napp;b 2\n"])
    writer.start()
    assert "2 rows sent" in run(server, "offcputime", pipe, *MOMENT, "--hostname", "fifo")
    writer.join()
    assert folded(server, "offcputime", "fifo") == ["app;a 1", "app;b 2"]
