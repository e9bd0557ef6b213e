"""Hourly and daily sums: how they are computed, which ones answer a question, late rows."""
