"""Draw the flame graph of docs/stacks.md: python -m tests.stacks.picture FILE.

A Python service under load, its waits traced and stored as a user would, and the server's export.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.agent.tracing import agent
from tests.serving import serving
from tests.stacks.building import SOURCES
from tests.stacks.stage import Stage

_SECONDS = 10


def picture(folder: Path) -> bytes:
    with Stage(folder, "picture") as stage, serving(folder) as server:
        shop = ("/usr/bin/python3", SOURCES / "shop.py")
        payments = stage.start(*shop, "payments").said.split()[1]
        web = stage.start(*shop, folder, payments)
        stage.start(*shop, "visitors", web.said.split()[1])
        flags = ("--pid", web.pid, "--server", server.ingest, "--spool", folder / "spool")
        with agent("offcputime", *flags) as running:
            running.wait_for("probe running")
            time.sleep(_SECONDS)
            running.stop()
        answer = server.get(
            "/api/v1/flamegraph/offcputime", format="svg", stack__contains="do_POST"
        )
        answer.raise_for_status()
        return answer.content


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(sys.argv[1]).write_bytes(picture(Path(folder)))


if __name__ == "__main__":
    main()
