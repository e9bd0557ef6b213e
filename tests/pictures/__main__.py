"""Take the pictures of docs/pictures from a running page: python -m tests.pictures [--keep FOLDER].

It records a web shop for a quarter of an hour first, as root. `--keep` names a folder for the
database; if that has one already, its recording is pictured again.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.pictures.play import play
from tests.pictures.take import take
from tests.pictures.views import VIEWS
from tests.serving import ROOT, serving

# In seconds. What changed compares the time after the release with windows of its length before.
_BEFORE, _SHOWN, _AFTER = 13 * 60.0, 8 * 60.0, 80.0
# A machine with other work draws all the same.
_CONFIG = "database: {sqlite: kernelscope.db}\nquery_deadline: 5m\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="folder for the database")
    parser.add_argument("--python", type=Path, default=Path("/usr/bin/python3"), help="of the shop")
    parser.add_argument("--only", choices=VIEWS, nargs="*", default=[*VIEWS], help="these views")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary)
        is_new = not (folder / "kernelscope.db").exists()
        folder.mkdir(exist_ok=True)
        config = folder / "server.yaml"
        config.write_text(_CONFIG)
        with serving(folder, "--config", config) as server:
            if is_new:
                play(folder, server, chosen.python, _BEFORE, _AFTER + 5)
            take(server, ROOT / "docs" / "pictures", chosen.only, _SHOWN, _AFTER)


if __name__ == "__main__":
    main()
