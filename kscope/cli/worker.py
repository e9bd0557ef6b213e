"""One worker of `kscope serve --workers N`, which starts it; it is no command."""

import asyncio
import sys

from kscope.cli.logs import set_up_server
from kscope.server.workers.launch import start_of
from kscope.server.workers.worker import work


def main() -> int:
    """Serve; return the exit code."""
    start = start_of(sys.stdin.buffer)
    log_format = start.settings.log_format
    set_up_server(verbose=start.verbose, worker=start.number, log_format=log_format)
    return asyncio.run(work(start))


if __name__ == "__main__":
    sys.exit(main())
