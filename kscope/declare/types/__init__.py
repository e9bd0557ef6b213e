"""One file per family of column types: everything that a type does."""
