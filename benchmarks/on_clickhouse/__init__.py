"""The parts of `benchmarks.clickhouse`: rows, their bytes, questions about them, and ingest."""
