"""Samples of stacks, as profilers record them, and the rows of a category that they become."""
