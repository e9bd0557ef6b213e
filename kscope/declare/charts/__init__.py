"""One file per chart kind: the question it asks, and how the answer is drawn."""
