"""Answers in other formats: CSV, folded text, pprof, speedscope, SVG, terminal."""
