"""Answers as lines of text: one module for each shape of answer."""
