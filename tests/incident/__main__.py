"""Fill a running server: `python -m tests.incident http://127.0.0.1:8081`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen

from tests.incident.play import fill
from tests.serving import Serving

if len(sys.argv) != 2:
    raise SystemExit("usage: python -m tests.incident URL-OF-INGEST, such as http://127.0.0.1:8081")
url = sys.argv[1] if "//" in sys.argv[1] else f"http://127.0.0.1:{sys.argv[1]}"
nothing: Popen[bytes] = Popen(["true"])
server = Serving(nothing, "", url, Path("/dev/null"))
count = fill(server, datetime.now(UTC).replace(second=0, microsecond=0))
sys.stdout.write(f"{count} rows\n")
