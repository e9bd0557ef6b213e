"""The guest's disk: the Python that runs these tests, bcc, and all that kscope depends on.

Made from what is installed on this machine, without root and without mounts, and kept under the
hash of its inputs. Neither kscope nor the kernel is in it: they travel on a second disk.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable

REPOSITORY = Path(__file__).parents[2]
CACHE = REPOSITORY / ".work" / "qemu"
INIT = Path(__file__).with_name("init")
BCC = Path("/usr/lib/python3/dist-packages/bcc")
# Libraries that bcc and Python open at run time, in addition to linked ones.
LIBRARIES = ("libbcc.so.0", "libc.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1")
LIBRARY_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu")
# The kernel finds its root by this name: which of two disks is the first is left to chance.
SIGNATURE = 0x6B736370
SECTOR, FIRST_SECTOR = 512, 2048
MOUNT_POINTS = ("proc", "sys", "dev", "tmp", "etc", "run", "root", "kscope")
UNUSED = shutil.ignore_patterns(
    "test", "idlelib", "tkinter", "lib2to3", "ensurepip", "config-*", "*-packages", "*.a"
)


def build() -> Path:
    """Return an ext4 image; made in about 20 s when an input has changed."""
    folder = CACHE / f"root-{_inputs_hash()}"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            root, made = CACHE / temporary / "root", CACHE / temporary / "made"
            _fill(root)
            made.mkdir()
            _make_disk(root, made / "root.ext4")
            publish(made, folder)
        for old in set(CACHE.glob("root-*")) - {folder}:
            shutil.rmtree(old)
    return folder / "root.ext4"


def publish(made: Path, folder: Path) -> None:
    """Move a finished folder to its place. Another process may have been quicker, with the same."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _inputs_hash() -> str:
    inputs = [Path(__file__).read_text(), INIT.read_text(), sys.version]
    inputs += [f"{dist.name} {dist.version}" for dist in _distributions()]
    inputs += [f"{path} {path.stat().st_mtime_ns}" for path in _system_files()]
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:12]


def _fill(root: Path) -> None:
    for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", *MOUNT_POINTS):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    _install_busybox(root)
    _install_python(root)
    shutil.copytree(BCC, _inside(root, BCC))
    for path in _system_files():
        _copy(path, root)
    for library in _linked([*_system_files(), *root.glob("**/*.so")]):
        _copy(library, root)
    shutil.copy(INIT, root / "init")


def _install_busybox(root: Path) -> None:
    busybox = root / "usr/bin/busybox"
    shutil.copy(str(shutil.which("busybox")), busybox)
    for applet in set(output(busybox, "--list").split()) - {"busybox"}:
        (root / "usr/bin" / applet).symlink_to("busybox")


def _install_python(root: Path) -> None:
    """Copy the interpreter to where it lies here: it finds its library by its own place."""
    (root / "usr/bin/python3").symlink_to(_interpreter())
    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, _inside(root, library), ignore=UNUSED)
    # Apart from the interpreter's own folders, whose name differs between Debian and others.
    packages = root / "usr/lib/kscope-packages"
    for dist in _distributions():
        for file in dist.files or ():
            source, target = Path(str(file.locate())), packages / file
            if ".." not in file.parts and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)


def _distributions() -> list[importlib.metadata.Distribution]:
    """Return what kscope depends on, directly or not, as it is installed for these tests."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    found: dict[str, importlib.metadata.Distribution] = {}
    wanted = [Requirement(line) for line in project["dependencies"]]
    while wanted:
        requirement = wanted.pop()
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and requirement.name.lower() not in found:
            dist = importlib.metadata.distribution(requirement.name)
            found[requirement.name.lower()] = dist
            wanted += [Requirement(line) for line in dist.requires or ()]
    return sorted(found.values(), key=lambda dist: dist.name)


def _interpreter() -> Path:
    return Path(os.path.realpath(sys.executable))


def _system_files() -> list[Path]:
    places = (Path(folder, name) for name in LIBRARIES for folder in LIBRARY_FOLDERS)
    bpftool = shutil.which("bpftool", path="/usr/sbin:/usr/bin")
    return [
        _interpreter(),
        *(path for path in places if path.exists()),
        *([Path(bpftool)] if bpftool else []),
    ]


def _linked(files: Iterable[Path]) -> set[Path]:
    """Return the shared libraries, the loader included, that the files are linked with."""
    # ldd fails as a whole when one file is statically linked, and still answers for the rest.
    asked = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False)
    found = re.findall(r"(?:=> |^\s+)(/\S+\.so\S*) \(", asked.stdout, re.MULTILINE)
    return {Path(path) for path in found}


def _copy(path: Path, root: Path) -> None:
    target = _inside(root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def _inside(root: Path, path: Path) -> Path:
    """Return where an absolute path lies in the image, in which /lib is /usr/lib."""
    inside = root / path.relative_to("/")
    top = inside.relative_to(root).parts[0]
    return root / "usr" / path.relative_to("/") if (root / top).is_symlink() else inside


def _make_disk(root: Path, disk: Path) -> None:
    used = int(output("du", "-sm", root).split()[0])
    megabytes = used * 5 // 4 + 64
    sectors = megabytes * 1024 * 1024 // SECTOR
    with disk.open("wb") as file:
        file.write(_partition_table(sectors))
        file.truncate((FIRST_SECTOR + sectors) * SECTOR)
    place = ("-E", f"offset={FIRST_SECTOR * SECTOR}")
    made = ("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", *place, "-d", root, disk)
    output(*made, f"{megabytes}M")


def _partition_table(sectors: int) -> bytes:
    """Return a master boot record that holds one Linux partition."""
    linux, anywhere = 0x83, b"\xfe\xff\xff"
    entry = struct.pack("<B3sB3sII", 0, anywhere, linux, anywhere, FIRST_SECTOR, sectors)
    return struct.pack("<440xIH16s48xH", SIGNATURE, 0, entry, 0xAA55)
