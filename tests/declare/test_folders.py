"""A folder of categories may hold anything: the good files work, and each other one is named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from kscope.declare.files.catalog import MAX_FILES, read_catalog
from kscope.declare.files.yaml_lines import MAX_BYTES
from kscope.declare.model import Catalog
from kscope.errors import KscopeError
from kscope.files import read_secret, read_text
from kscope.server.ingest.live_catalog import signature
from tests.children import bounded_run

GOOD = "table: {0}\ncolumns:\n  - {{name: process, type: string}}\n"


def good(folder: Path, table: str = "good") -> None:
    (folder / f"{table}.yaml").write_text(GOOD.format(table))


def is_a_pipe(file: Path) -> None:
    os.mkfifo(file)


def is_a_socket(file: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(file))


def is_a_folder(file: Path) -> None:
    file.mkdir()


def is_a_device(file: Path) -> None:
    file.symlink_to("/dev/zero")


def no_such_file(file: Path) -> None:
    file.symlink_to("nothing-here")


def symbolic_links(file: Path) -> None:
    file.symlink_to(file.name)


def fails_when_it_is_read(file: Path) -> None:
    file.symlink_to("/proc/self/mem")


def says_that_it_is_empty(file: Path) -> None:
    """As a file does that grows while it is read."""
    file.symlink_to("/proc/kallsyms")


def is_larger(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(300 << 20)


def not_utf8(file: Path) -> None:
    file.write_bytes(b"table: x\n# caf\xe9\n")


def utf16(file: Path) -> None:
    file.write_bytes(GOOD.format("x").encode("utf-16"))


# A function that makes the file, and the text of its problem.
BAD_FILES = {
    is_a_pipe: "is a pipe; it must be a regular file",
    is_a_socket: "is a socket; it must be a regular file",
    is_a_folder: "is a folder; it must be a regular file",
    is_a_device: "is a device; it must be a regular file",
    no_such_file: "No such file or directory",
    symbolic_links: "Too many levels of symbolic links",
    fails_when_it_is_read: "cannot be read: ",
    says_that_it_is_empty: "is larger than 256 KiB",
    is_larger: "is larger than 256 KiB",
    not_utf8: "is not UTF-8: byte 0xe9; save it as UTF-8",
    utf16: "is UTF-16; save it as UTF-8",
}


@pytest.mark.parametrize("make", BAD_FILES)
def test_a_file_that_is_none_is_named_and_the_others_are_read(make, tmp_path: Path) -> None:
    """Nothing hangs, nothing is raised; a category that the file had before stays."""
    good(tmp_path)
    good(tmp_path, "bad")
    before = read_catalog([tmp_path])
    assert [each.table for each in before.catalog] == ["bad", "good"]
    bad = tmp_path / "bad.yaml"
    seen = signature([tmp_path])
    bad.unlink()
    make(bad)
    assert signature([tmp_path]) != seen

    fresh = read_catalog([tmp_path])
    assert [each.table for each in fresh.catalog] == ["good"]
    assert [problem.file for problem in fresh.problems] == [str(bad)]
    assert BAD_FILES[make] in fresh.problems[0].message
    again = read_catalog([tmp_path], before.catalog)
    assert [each.table for each in again.catalog] == ["bad", "good"]
    assert again.problems == fresh.problems
    with pytest.raises(KscopeError, match=r"bad\.yaml"):
        read_text(bad, MAX_BYTES)
    with pytest.raises(KscopeError, match=r"bad\.yaml"):
        read_secret(bad)


def test_a_link_to_another_yaml_file_is_read(tmp_path: Path) -> None:
    """Through a link to its folder too, as a Kubernetes ConfigMap has it."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/linked.yaml").write_text(GOOD.format("linked"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/..data").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "mine/linked.yaml").symlink_to("..data/linked.yaml")
    reading = read_catalog([tmp_path / "mine"])
    assert [each.table for each in reading.catalog] == ["linked"]
    assert not reading.problems


def test_a_link_to_another_kind_of_file_shows_nothing_of_it(tmp_path: Path) -> None:
    """Anybody may read the problems: they must not quote the passwords of the system."""
    (tmp_path / "shadow").write_text("root:$6$salt$hash:19000:0:99999:7:::\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/shadow.yaml").symlink_to(tmp_path / "shadow")
    (problem,) = read_catalog([tmp_path / "mine"]).problems
    assert problem.message == "is a link to a file of another kind; link to a .yaml file"


def test_hidden_files_and_those_of_editors_are_left_out(tmp_path: Path) -> None:
    good(tmp_path)
    for name in (".good.yaml", ".#good.yaml", "good.yaml~", "#good.yaml#", ".good.yaml.swp"):
        (tmp_path / name).write_text("[")
    assert not read_catalog([tmp_path]).problems


@pytest.mark.parametrize("name", [b"a\nb.yaml", b"a\xffb.yaml", b"a\x1b[31mb.yaml"])
def test_a_name_that_cannot_be_shown_is_refused(name: bytes, tmp_path: Path) -> None:
    """Its problem is one line of text that every terminal and every answer can show."""
    good(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text(GOOD.format("other"))
    reading = read_catalog([tmp_path])
    assert [each.table for each in reading.catalog] == ["good"]
    [problem] = reading.problems
    assert "rename it" in problem.message
    assert str(problem).isprintable()
    assert str(problem).encode()


def test_a_folder_of_too_many_files_keeps_what_it_had(tmp_path: Path) -> None:
    """The first 1,000 files are read, the folder is named, and no category is dropped by it."""
    good(tmp_path, "zzz")
    before = read_catalog([tmp_path]).catalog
    for i in range(MAX_FILES):
        good(tmp_path, f"t{i:04}")
    reading = read_catalog([tmp_path], before)
    assert len(reading.catalog.categories) == MAX_FILES + 1
    [problem] = reading.problems
    assert f"has {MAX_FILES + 1} category files" in problem.message


def test_a_hundred_thousand_bad_files_are_not_all_read(tmp_path: Path) -> None:
    """Neither their number nor their problems make the reading grow."""
    for i in range(100_000):
        os.symlink("/dev/zero", f"{tmp_path}/{i}.yaml")  # noqa: PTH211 - half the time of a Path
    printed = bounded_run(
        """
from kscope.declare.files.catalog import read_catalog
from kscope.server.ingest.live_catalog import signature
problems = read_catalog([sys.argv[1]]).problems
print(len(problems), len(signature([sys.argv[1]])), peak())
""",
        tmp_path,
        folder=tmp_path,
    )
    problems, signed, memory = map(int, printed.split())
    assert problems <= 1100
    assert signed <= 1100
    assert memory < 150


def test_the_catalog_of_nothing_is_empty(tmp_path: Path) -> None:
    assert read_catalog([tmp_path / "none"]).catalog == Catalog(())
    assert "no such folder" in read_catalog([tmp_path / "none"]).problems[0].message
