"""The measure of "What changed here?": sums of windows in, ranked findings out; it knows no SQL."""
