"""One module per question: what it reads and what it answers."""
