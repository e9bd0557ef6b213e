"""The commands of docs/formats.md, from top to bottom, as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from kscope.query.export import FORMATS as EXPORTS
from kscope.readers.formats import FORMATS
from tests import needs
from tests.commands import command
from tests.documents import blocks, install_commands, run
from tests.query import tool_outputs
from tests.serving import ROOT, Serving, serving
from tests.workloads import until_killed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENT = "docs/formats.md"
# bcc's tools that trace by kprobes do not run on every kernel, or trace more than one process:
# these print what they printed once. tests/query/test_import_real_tools.py runs tools.
RECORDED = {
    "offcputime-bpfcc": tool_outputs.OFFCPUTIME,
    "biolatency-bpfcc": tool_outputs.BIOLATENCY_DISKS,
    "execsnoop-bpfcc": tool_outputs.EXECSNOOP,
}
# `kscope` with the addresses of the test's server, which a reader has in kernelscope.yaml.
KSCOPE = """\
#!/bin/sh
case "$1" in
  query) set -- "$@" --server {read} ;;
  import | log) set -- "$@" --server {ingest} ;;
esac
exec {python} -m kscope "$@"
"""
BUSY = """
print("ready", flush=True)
while True:
    sum(range(10000))
"""
BLOCKS = blocks(DOCUMENT)
OUT = [block for block in BLOCKS if "> waits" in block[1]]
IN = [block for block in BLOCKS if block not in OUT]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, server: Serving) -> Path:
    """Return the folder of the commands."""
    install_commands(tmp_path)
    programs = {name: f"#!/bin/sh\ncat {tmp_path}/{name}.txt\n" for name in RECORDED}
    programs["kscope"] = KSCOPE.format(
        read=server.read, ingest=server.ingest, python=sys.executable
    )
    (tmp_path / "bin" / "kscope").unlink()
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    for name, text in RECORDED.items():
        (tmp_path / f"{name}.txt").write_text(text)
    return tmp_path


@pytest.mark.bpf
@pytest.mark.xdist_group("tools")
def test_recordings_come_in(folder: Path, server: Serving) -> None:
    """Each command stores the rows that it announces."""
    for program in ("perf", "bpftrace"):
        needs.program(program, program)
    with until_killed(sys.executable, "-c", BUSY) as pid:
        output = "".join(run(*block, folder, server, pid) for block in IN)
    imports = sum(block.count("| kscope import") for _, block in IN)
    sent = [int(rows) for rows in re.findall(r"(\d+) rows sent", output)]
    assert len(sent) >= imports
    assert all(sent)
    samples = server.get("/api/v1/top/profile", by="process", value="samples").json()
    assert {entry["key"][0][:6] for entry in samples["entries"]} == {"app", "python"}


def test_answers_go_out(folder: Path, server: Serving) -> None:
    """Each command writes a file that has rows."""
    waits = {"process": "app", "pid": 1, "stack": "main;read_[k]", "elapsed": 5}
    program = {"process": "app", "pid": 7, "path": "/bin/app", "user": "me"}
    for host in ("web-1", "web-2"):
        server.post({"hostname": host, "offcputime": [waits], "execsnoop": [program]})
    lines = "".join(text for _, text in OUT).splitlines()
    for line in lines:
        # In this process, as starting one takes half a second.
        kscope, *words, redirection, name = shlex.split(line)
        assert (kscope, redirection) == ("kscope", ">"), line
        ran = command(*words, "--server", server.read)
        assert ran.returncode == 0, f"{line}: {ran.stderr}"
        assert len(ran.output) > 20, line
        (folder / name).write_bytes(ran.output)
    assert "main;read_[k] 10" in (folder / "waits.folded").read_text()
    assert "main;read_[k] 5 5" in (folder / "compared.folded").read_text()
    assert len((folder / "programs.csv").read_text().splitlines()) == 3
    assert json.loads((folder / "programs.trace.json").read_text())["traceEvents"]


def test_each_format_has_its_line() -> None:
    """In the tables, and in the help of the command."""
    tables = (ROOT / DOCUMENT).read_text().split("## Out")
    for name in FORMATS:
        assert f"\n| `{name}` |" in tables[0], name
    for name in EXPORTS:
        assert re.search(rf"\n\|[^|]*`{name}`[^|]*\|", tables[1]), name
