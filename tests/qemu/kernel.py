"""A Debian cloud kernel and its network drivers, out of the package, without installing it."""

from __future__ import annotations

import lzma
import re
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests import debian, needs
from tests.qemu.image import CACHE, output, publish

if TYPE_CHECKING:
    from pathlib import Path

DRIVERS = ("virtio_pci", "virtio_net")


@dataclass(frozen=True)
class Kernel:
    """`modules` holds the drivers, named so that their order is the one in which they load."""

    image: Path
    modules: Path


def fetch(series: str) -> Kernel:
    """Return the newest Debian cloud kernel of a series such as `6.1`; skips where apt has none."""
    package, version = _newest(series)
    folder = CACHE / f"{package}_{version}"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            _download(package, version, CACHE / temporary, folder)
    return Kernel(folder / "vmlinuz", folder / "modules")


def _newest(series: str) -> tuple[str, str]:
    # Three numbers: `linux-image-6.12-cloud-amd64` is only a name for the newest of its series.
    pattern = rf"linux-image-{re.escape(series)}\.\d\S*-cloud-amd64"
    listed = output("apt-cache", "pkgnames", "linux-image-").split()
    names = [name for name in listed if re.fullmatch(pattern, name)]
    if not any("cloud" in name for name in listed):
        needs.lacking("qemu", "apt lists no kernels; run apt-get update")
    if not names:
        needs.lacking("qemu", f"this Debian's package lists have no {series} cloud kernel")
    newest = max(names, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])
    return newest, debian.candidate("qemu", newest)


def _download(package: str, version: str, temporary: Path, folder: Path) -> None:
    unpacked = debian.unpack("qemu", package, version, temporary)
    made = temporary / "made"
    made.mkdir()
    shutil.copy(next(unpacked.glob("boot/vmlinuz-*")), made / "vmlinuz")
    _copy_drivers(unpacked, made / "modules")
    publish(made, folder)


def _copy_drivers(unpacked: Path, modules: Path) -> None:
    files = {path.name.split(".")[0]: path for path in unpacked.glob("**/kernel/**/*.ko*")}
    order: dict[str, bytes] = {}
    for driver in DRIVERS:
        _load(driver, files, order)
    modules.mkdir()
    for number, (name, content) in enumerate(order.items()):
        (modules / f"{number:02}-{name}.ko").write_bytes(content)


def _load(name: str, files: dict[str, Path], order: dict[str, bytes]) -> None:
    """Add a module after those it depends on; what is no file is built into the kernel."""
    if name in order or name not in files:
        return
    content = files[name].read_bytes()
    if files[name].suffix == ".xz":
        content = lzma.decompress(content)
    depends = re.search(rb"\0depends=([^\0]*)", content)
    for other in depends[1].decode().split(",") if depends else ():
        _load(other.replace("-", "_"), files, order)
    order[name] = content
