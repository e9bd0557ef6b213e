"""The mappings of a process, and which program it runs, as the agent reads them."""

import mmap
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from kscope.agent.host import btf, processes
from kscope.agent.stacks import mappings

_LINE = b"7f00-8f00 r-xp 00001000 fd:01 42    /usr/lib/liba.so\n"


def test_a_name_with_a_carriage_return_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "a\rb"
    file.write_bytes(bytes(mmap.PAGESIZE))
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC),
    ):
        found = mappings.executable("self")
    inode = file.stat().st_ino
    assert [each.in_file for each in found if each.inode == inode] == [True]


def test_lines_that_are_cut_or_broken_are_left_out() -> None:
    whole = mappings.Mapping(0x7F00, 0x8F00, 0x1000, b"fd:01", 42, is_vdso=False)
    assert mappings.parsed(_LINE + b"zz r-xp\nzz-1 r-xp 0 fd:01 42\n\n" + _LINE[:-4]) == [whole]
    assert mappings.parsed(b"") == []


def test_another_file_at_the_same_address_is_another_mapping() -> None:
    text = _LINE + _LINE.replace(b" 42 ", b" 43 ") + _LINE.replace(b"fd:01", b"fd:02")
    assert len(set(mappings.parsed(text))) == 3
    assert not mappings.parsed(b"7f00-8f00 r-xp 0 00:00 0\n")[0].in_file


def test_a_process_that_ended_runs_no_other_program() -> None:
    """Also while its parent has not waited for it: what is known about it stays of use."""
    command = [sys.executable, "-c", "input(1)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin
        assert child.stdout
        assert child.stdout.read(1) == b"1"
        assert processes.image(child.pid)
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert processes.stat(child.pid)
        assert processes.image(child.pid) is None
    assert processes.image(child.pid) is None


def test_a_struct_that_the_kernel_does_not_have_is_no_anonymous_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strings = b"\0x\0known\0"
    types = b"".join(
        struct.pack("=IIIIII", name, 4 << 24 | 1, 16, 1, 0, bits)  # of one member, x
        for name, bits in ((0, 32), (strings.index(b"known"), 64))
    )
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    file = tmp_path / "vmlinux"
    file.write_bytes(header + types + strings)
    monkeypatch.setattr(btf, "VMLINUX", file)
    assert btf.member_offsets(["no_such_struct.x", "known.x", "known.y"]) == {"known.x": 8}
