"""Several processes that serve the same two listeners, and the parent that starts them."""
