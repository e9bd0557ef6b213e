"""Fleets with realistic noise and planted incidents, the same for the same seed."""
