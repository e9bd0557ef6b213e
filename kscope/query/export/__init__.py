"""Answers in other programs' formats: one module each."""
