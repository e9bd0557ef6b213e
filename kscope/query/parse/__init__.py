"""Request parameters become a checked question."""
