"""Recordings that other programs made -> rows."""
