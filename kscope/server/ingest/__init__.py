"""The ingest listener: routes, decoding, the live catalog."""
