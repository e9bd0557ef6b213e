"""Sends rows to a server: `Logger` for scripts, `Sender` and `Endpoint` for the agent.

from kscope.client import Logger

with Logger("http://127.0.0.1:8081") as log:
    log("cpu", process="mysqld", usage=0.7)

Standard library only. `answers` decides what an answer means, `endpoint` speaks HTTP, `spool` and
`memory` keep batches, `sender` empties them.
"""

from kscope.client.logger import Logger

__all__ = ["Logger"]
