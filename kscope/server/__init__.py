"""app.py wires the two listeners, and waits for the database."""
