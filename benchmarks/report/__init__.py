"""`benchmarks/run`: parts that measure, their results as JSON, and docs/performance.md of these."""
