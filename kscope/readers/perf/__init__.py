"""The text of `perf script`: heads of samples, frames, and the lines around them."""
