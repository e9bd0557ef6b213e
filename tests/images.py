"""Images built by buildah from a bare Debian root, and containers of them, without a registry."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import bareroot, needs
from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = ROOT / "packaging" / "container" / "Containerfile"
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"
_BASE = "debian:bookworm-slim"
_PYTHON = "3.11"  # of that Debian
# Where pip finds packages during the build, instead of an index.
_PIP = "[global]\nno-index = true\nfind-links = /wheels\n"


@dataclass
class Images:
    """A store of images in a folder, which has all that a build needs."""

    folder: Path
    made: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """Bring the base image and the packages of Python."""
        root = self.run("from", "scratch").stdout.strip()
        self.run("add", "--quiet", root, str(bareroot.archive()), "/")
        self.run("commit", "--quiet", "--rm", root, _BASE)
        (self.folder / "pip.conf").write_text(_PIP)
        _download(self.folder / "wheels")

    def build(self, target: str) -> str:
        """Build one of the file's images, with its name as in the documentation."""
        name = f"kernelscope-{target}"
        offline = [f"{self.folder}/wheels:/wheels:ro", f"{self.folder}/pip.conf:/etc/pip.conf:ro"]
        self.run(
            *("build", "--isolation=chroot", "--format=docker", "--pull-never", "--layers"),
            *(f"--volume={each}" for each in offline),
            *(f"--file={FILE}", f"--target={target}", f"--tag={name}", str(ROOT)),
        )
        return name

    def container(self, image: str, *options: str) -> Container:
        name = self.run("from", "--pull-never", *options, image).stdout.strip()
        self.made.append(name)
        return Container(self, name)

    def command(self, *arguments: str) -> list[str]:
        store = [f"--root={self.folder}/store", f"--runroot={self.folder}/run"]
        return [needs.program("buildah", "buildah"), *store, _driver(), *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done

    def remove(self) -> None:
        for each in self.made:
            self.run("rm", each)
        self.run("rmi", "--all", "--force")


@dataclass(frozen=True)
class Container:
    """A container that runs programs with the image's user, variables and folder."""

    images: Images
    name: str

    @cached_property
    def config(self) -> dict[str, Any]:
        described = self.images.run("inspect", "--type=container", self.name).stdout
        config: dict[str, Any] = json.loads(described)["Docker"]["config"]
        return config

    @property
    def health(self) -> list[str]:
        """The program that asks whether it is well."""
        kind, *program = self.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        return program

    def command(self, program: Sequence[str], *volumes: str, network: str = "") -> list[str]:
        """Return the command that runs a program in the container, and in a network namespace."""
        inside = ["nsenter", f"--net=/run/netns/{network}"] if network else []
        mounts = [f"--volume={each}" for each in volumes]
        run = ["run", "--isolation=chroot", *mounts, self.name, "--", *program]
        return [*inside, *self.images.command(*run)]

    def run(
        self, program: Sequence[str], *volumes: str, network: str = ""
    ) -> subprocess.CompletedProcess[str]:
        command = self.command(program, *volumes, network=network)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def _driver() -> str:
    """Layers over one another do not work on those of another container; copies always do."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    kinds = [kind for _, place, kind, *_ in mounts if place == "/"]
    return f"--storage-driver={'vfs' if kinds[-1] == 'overlay' else 'overlay'}"


def _download(folder: Path) -> None:
    """Let pip bring the packages, as this machine's settings of pip say."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder),
            *("--only-binary", ":all:", "--python-version", _PYTHON, "--requirement", CONSTRAINTS),
            *project["build-system"]["requires"],
        ],
        check=True,
        capture_output=True,
    )
