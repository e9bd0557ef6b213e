"""Whole stacks: the tables that BPF walks by, and the names of frames."""
