"""Work that may eat memory or hang, in a child with bounds."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

# Not from tests.serving: that takes memory in each child.
ROOT = Path(__file__).resolve().parent.parent

# Of address space: an interpreter with all of kscope's imports takes under 400 MB of it.
ADDRESS_SPACE = 2 << 30
_REPORT = "import sys\nfrom tests.children import peak\n"


def peak() -> int:
    """Return the most memory of this process so far, in MB.

    Not ru_maxrss: a child begins with that of the process that started it.
    """
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


def bounded_run(code: str, *arguments: object, folder: Path) -> str:
    """Run Python code in a child that may not grow beyond bounds; returns what it prints.

    In the code `peak()` is the most memory so far, in MB, and `sys.argv[1:]` the arguments.
    """
    run = subprocess.run(
        [sys.executable, "-c", _REPORT + code, *map(str, arguments)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        preexec_fn=_limit,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    # A processor minute ends what a bound should have ended long before.
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
