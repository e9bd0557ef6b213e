"""One database: open.py, store.py, reader.py, backup.py and drop.py are its face."""
