"""Recordings of other programs become rows.

A `recording` is a file or a pipe; `detect` finds its format by its content; a module in `formats`
reads it; the `importer` sends the rows.
"""
