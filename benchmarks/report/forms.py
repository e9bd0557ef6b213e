"""The forms of a body: its name in the report, and the encoder and content type of each."""

from __future__ import annotations

from benchmarks import columns, ingest

ROWS, PACKED = "rows, JSON", "columns, MessagePack"
# As agents, `Logger` and imports send them.
COLUMNS = "columns, JSON"
ENCODERS = {
    ROWS: (ingest.body_of, ingest.JSON),
    COLUMNS: (columns.as_json, ingest.JSON),
    PACKED: (columns.as_msgpack, columns.MSGPACK),
}
