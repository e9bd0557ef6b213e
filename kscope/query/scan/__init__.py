"""Runs the statements of a question, on rows and sums, and adds up the results."""
