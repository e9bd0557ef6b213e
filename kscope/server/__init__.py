"""app.py wires the two listeners; startup.py waits for the database."""
