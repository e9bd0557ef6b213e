"""Recordings of other programs become rows."""
