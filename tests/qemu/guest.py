"""Boot a kernel in QEMU, run one job in it, give back what it printed."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests import needs
from tests.qemu import image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.qemu.kernel import Kernel

COMMAND_LINE = (
    f"console=ttyS0 quiet root=PARTUUID={image.SIGNATURE:x}-01 rw init=/init panic=-1 "
    "mitigations=off nokaslr rootwait "  # the disks are looked for beside all else
    "tsc=reliable no_timer_check"  # a busy machine may let the check of the timer fail
)


@dataclass(frozen=True)
class Outcome:
    console: str
    exit_code: int

    def lines(self, tag: str) -> list[str]:
        """Return what the job printed after `@@ tag `."""
        return re.findall(rf"^@@ {re.escape(tag)} (.*?)\r?$", self.console, re.MULTILINE)


def run(kernel: Kernel, job: str, files: Mapping[str, Path], folder: Path, seconds: int) -> Outcome:
    """Run a shell script in a fresh guest; `files` (name -> path) lie in its working folder.

    The guest reaches the servers on this machine's loopback at 10.0.2.2.
    """
    payload, log = folder / "payload.tar", folder / "console.log"
    _pack(payload, job, {**files, "modules": kernel.modules})
    with log.open("wb") as output:
        machine = subprocess.Popen(
            _command(kernel, payload), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            machine.wait(seconds)
        except subprocess.TimeoutExpired:
            machine.kill()
            machine.wait()
    console = log.read_text(encoding="utf-8", errors="replace")
    end = re.search(r"^@@ end (\d+)", console, re.MULTILINE)
    return Outcome(console, int(end[1]) if end else -1)


def _pack(payload: Path, job: str, files: Mapping[str, Path]) -> None:
    with tarfile.open(payload, "w") as tar:
        for name, path in files.items():
            tar.add(path, name, filter=_without_caches)
        content = job.encode()
        entry = tarfile.TarInfo("job.sh")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    # QEMU wants whole sectors.
    with payload.open("r+b") as file:
        file.truncate(-(-payload.stat().st_size // 1048576) * 1048576)


def _without_caches(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name or "/static/" in entry.name else entry


def _command(kernel: Kernel, payload: Path) -> list[str]:
    # Emulated on purpose: a /dev/kvm that exists may still not work, and TCG is the same anywhere.
    # An old processor: long vectors make the compiler's strings slower to emulate, not faster.
    return [
        needs.qemu(),
        *("-M", "q35,accel=tcg", "-cpu", "Nehalem", "-smp", "1", "-m", "1024"),
        *("-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"),
        *("-kernel", str(kernel.image), "-append", COMMAND_LINE),
        *("-drive", f"file={image.build()},format=raw,if=none,id=root,snapshot=on"),
        *("-device", "nvme,id=disks,serial=disks"),
        *("-device", "nvme-ns,bus=disks,drive=root,nsid=1"),
        *("-drive", f"file={payload},format=raw,if=none,id=job,readonly=on"),
        *("-device", "nvme-ns,bus=disks,drive=job,nsid=2"),
        *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"),
        *("-object", "rng-random,id=rng,filename=/dev/urandom"),
    ]
