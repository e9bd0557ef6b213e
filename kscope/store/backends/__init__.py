"""How SQLite and MySQL or MariaDB connect, run statements and report errors."""
