"""Kernel values become rows of a category; recordings of rows; rows become request bodies."""
