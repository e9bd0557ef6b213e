"""Background work: close buckets, remove old rows, forget unused strings."""
