"""A bare Debian: a root as debootstrap makes it, in which a test installs packages with apt.

Commands run in a chroot with separate mounts, which end with the command. Processes, network
and kernel are those of the machine.
"""

from __future__ import annotations

import fcntl
import platform
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests import needs
from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = ROOT / ".work" / "bareroot"
# After it the packages in the archive may be others.
_DAY = 86400.0
# The kernel's folders are mounted for one command alone: nothing is left to unmount.
_ENTER = """
root=$1; user=$2; folder=$3; shift 3
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
exec chroot ${user:+--userspec="$user"} "$root" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
    "LC_ALL": "C.UTF-8",
}


@dataclass(frozen=True)
class BareRoot:
    """A root folder with a Debian in it."""

    path: Path

    def start(
        self,
        *arguments: str | Path,
        user: str = "",
        folder: str = "/",
        output: IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a command in the root, as `user:group` if given; its output goes to a file."""
        return subprocess.Popen(
            _entering(self.path, user, folder, arguments),
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def run(
        self,
        *arguments: str | Path,
        user: str = "",
        folder: str = "/",
        stdin: str = "",
        code: int = 0,
        patience: float = 300,
    ) -> str:
        """Run a command in the root, and return its output and errors. Asserts the exit code."""
        done = subprocess.run(
            _entering(self.path, user, folder, arguments),
            env=_ENVIRONMENT,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=patience,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def install(self, *packages: str | Path) -> str:
        """Install packages by name, or from files of this machine."""
        names = []
        for package in packages:
            if isinstance(package, Path):
                shutil.copy(package, self.path / "tmp")
                names.append(f"/tmp/{package.name}")
            else:
                names.append(package)
        return self.run("apt-get", "install", "-y", *names)

    def unit(self, name: str) -> dict[str, str]:
        """Return the settings of an installed unit; of one that is there twice, the last."""
        text = (self.path / "lib/systemd/system" / name).read_text()
        return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))

    def copied(self, folder: Path) -> BareRoot:
        """Return a copy, for a test that changes it."""
        subprocess.run(["cp", "-a", "--reflink=auto", self.path, folder], check=True)
        return BareRoot(folder)


def _entering(
    root: Path, user: str, folder: str, arguments: tuple[str | Path, ...]
) -> list[str | Path]:
    return ["unshare", "--mount", "sh", "-euc", _ENTER, "sh", root, user, folder, *arguments]


def bare_root() -> BareRoot:
    """Return the root of a minimal Debian of this machine's release, with fresh lists of apt.

    Tests copy it before they change it. Skips the test where it cannot be made.
    """
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    made = archive(release)
    root = _FOLDER / release
    with _locked():
        if not root.exists() or root.stat().st_mtime < made.stat().st_mtime:
            part = _FOLDER / f"{release}.part"
            subprocess.run(["rm", "-rf", "--one-file-system", part, root], check=True)
            part.mkdir()
            _run("tar", "-C", part, "-xpf", made)
            _configure(part)
            part.rename(root)
            root.touch()
    bare = BareRoot(root)
    bare.run("apt-get", "update", "-qq")
    return bare


def archive(release: str = "bookworm") -> Path:
    """Return a tar archive of a release's root; it is made at most once a day."""
    needs.root("debootstrap")
    debootstrap = needs.program("debootstrap", "debootstrap")
    path = _FOLDER / f"{release}.tar"
    with _locked():
        if path.exists() and time.time() - path.stat().st_mtime < _DAY:
            return path
        with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
            root = Path(folder, "root")
            _run(debootstrap, "--variant=minbase", release, root, mirror())
            _run("tar", "--one-file-system", "-C", root, "-cf", Path(folder, "part"), ".")
            Path(folder, "part").rename(path)
    return path


def mirror() -> str:
    """Return the address of the Debian archive in this machine's apt configuration."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    origin = ["Origin: Debian", "Label: Debian"]
    done = subprocess.run([*asked, *origin], capture_output=True, text=True, check=False)
    if not (found := done.stdout.split()):
        needs.lacking("debootstrap", "apt knows no mirror of Debian; run apt-get update")
    return found[0]


@contextmanager
def _locked() -> Iterator[None]:
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def _configure(root: Path) -> None:
    """Copy this machine's sources and resolver into it; a crash of the machine may break it."""
    shutil.rmtree(root / "etc/apt")
    shutil.copytree("/etc/apt", root / "etc/apt", symlinks=True)
    for keyring in _keyrings():
        (root / keyring.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(keyring, root / keyring.relative_to("/"))
    for name in ("resolv.conf", "hosts"):
        shutil.copy(f"/etc/{name}", root / "etc" / name)
    (root / "etc/dpkg/dpkg.cfg.d/quick").write_text("force-unsafe-io\n")


def _keyrings() -> Iterator[Path]:
    """Yield the keyrings that the sources name by their paths."""
    for source in Path("/etc/apt").glob("sources.list*/**/*"):
        if source.is_file():
            found = re.findall(r"(?i)signed-by[:=]\s*(/[^\s\]]+)", source.read_text())
            yield from (path for path in map(Path, found) if path.is_file())
