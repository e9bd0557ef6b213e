"""Waiting batches become rows in one transaction."""
