"""A stripped program gets its names from its debug file, which is found and checked."""

from __future__ import annotations

import lzma
import os
from typing import TYPE_CHECKING

import pytest

from kscope.elf.contents import FileContents
from kscope.elf.debug_files import MAX_MINI
from kscope.elf.errors import ElfError
from kscope.elf.image import Image
from tests.elf import programs
from tests.elf.programs import debug_file, functions, names, objcopy, stripped

if TYPE_CHECKING:
    from pathlib import Path

# The process of the test knows its program by this path, inside of the root folder.
INSIDE = "/opt/shop/program"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return programs.compiled(tmp_path_factory.mktemp("debug"))


@pytest.fixture(scope="module")
def without_build_id(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("debug")
    return programs.compiled(folder, "program", "-Wl,--build-id=none")


def local_name(found: Path, program: Path, root: Path, path: str = INSIDE) -> str:
    """Return the name of a local function, which only the debug file has."""
    place = next(each for each in functions(program) if each.name == "local_one")
    return names(found, path, str(root)).name(place.start + place.size - 1)


def linked(program: Path, debug: Path) -> Path:
    """Return a stripped copy that names its debug file."""
    return stripped(program, f"--add-gnu-debuglink={debug}")


def build_id_path(program: Path) -> str:
    build_id = Image(FileContents(program)).build_id
    return f"usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"


def test_by_build_id_in_the_root_of_the_process(program: Path, tmp_path: Path) -> None:
    """As Debian's -dbgsym packages are installed, in a container too."""
    debug_file(program, tmp_path / build_id_path(program))
    assert local_name(stripped(program), program, tmp_path) == "local_one"


def test_a_file_of_another_build_is_not_used(program: Path, tmp_path: Path) -> None:
    """Its names would be wrong ones."""
    other = programs.compiled(tmp_path, "other", "-O1")
    debug_file(other, tmp_path / build_id_path(program))
    debug_file(other, tmp_path / "opt/shop/program.debug")
    (tmp_path / "program.debug").write_bytes(b"for objcopy")
    found = linked(program, tmp_path / "program.debug")
    assert local_name(found, program, tmp_path) == ""


@pytest.mark.parametrize(
    "folder", ["opt/shop", "opt/shop/.debug", "usr/lib/debug/opt/shop"], ids=str
)
@pytest.mark.parametrize("has_build_id", [True, False])
def test_by_name(
    program: Path,
    without_build_id: Path,
    tmp_path: Path,
    folder: str,
    has_build_id: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """In the three places where gdb looks; by its check sum if there is no build id."""
    built = program if has_build_id else without_build_id
    debug = debug_file(built, tmp_path / folder / "program.debug")
    assert local_name(linked(built, debug), built, tmp_path) == "local_one"


def test_a_file_with_another_check_sum_is_not_used(without_build_id: Path, tmp_path: Path) -> None:
    """One byte is enough."""
    debug = debug_file(without_build_id, tmp_path / "opt/shop/program.debug")
    found = linked(without_build_id, debug)
    with debug.open("ab") as file:
        file.write(b"x")
    assert local_name(found, without_build_id, tmp_path) == ""


def test_links_stay_in_the_root_of_the_process(program: Path, tmp_path: Path) -> None:
    """An absolute link leads to the container's own file, and none leads out of it."""
    root = tmp_path / "root"
    debug_file(program, root / "store/program.debug")
    place = root / build_id_path(program)
    place.parent.mkdir(parents=True)
    place.symlink_to("/store/program.debug")
    assert local_name(stripped(program), program, root) == "local_one"
    debug_file(program, tmp_path / "outside.debug")
    for target in (tmp_path / "outside.debug", "../../../../../../outside.debug"):
        place.unlink()
        place.symlink_to(target)
        assert local_name(stripped(program), program, root) == ""


def test_a_pipe_in_place_of_the_debug_file_is_not_opened(program: Path, tmp_path: Path) -> None:
    """To open it would wait until someone writes to it."""
    place = tmp_path / build_id_path(program)
    place.parent.mkdir(parents=True)
    os.mkfifo(place)
    assert local_name(stripped(program), program, tmp_path) == ""
    with pytest.raises(ElfError):
        FileContents("a\0b", str(tmp_path))


def test_mini_debug_info(program: Path, tmp_path: Path) -> None:
    """Fedora's programs carry a packed table of their local functions."""
    found = programs.with_mini_debug_info(program, tmp_path)
    assert local_name(found, program, tmp_path) == "local_one"


@pytest.mark.parametrize(
    "packed",
    [
        b"no xz at all",
        lzma.compress(b"\x7fELF, but damaged" * 100),
        lzma.compress(bytes(8 * MAX_MINI), preset=0),
        lzma.compress(b"", preset=9, filters=None)[:-7],
    ],
    ids=["no xz", "no ELF", "a bomb", "cut"],
)
def test_damaged_mini_debug_info_is_left_out(program: Path, tmp_path: Path, packed: bytes) -> None:
    """The exported names stay."""
    (tmp_path / "mini").write_bytes(packed)
    found = stripped(program)
    objcopy("--add-section", f".gnu_debugdata={tmp_path / 'mini'}", found)
    assert local_name(found, program, tmp_path) == ""
    start = next(each.start for each in functions(program) if each.name == "main")
    assert names(found).start(start + 1) == start


def test_a_debug_file_of_this_machine_serves_a_container(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found by its build id; a file of the same name and another build is none."""
    monkeypatch.setattr("kscope.elf.debug_files.DEBUG", tmp_path / "usr/lib/debug")
    debug_file(program, tmp_path / build_id_path(program))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert local_name(stripped(program), program, empty) == "local_one"
