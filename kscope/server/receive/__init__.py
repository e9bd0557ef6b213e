"""Profiles that other senders push become bodies of our own ingest."""
