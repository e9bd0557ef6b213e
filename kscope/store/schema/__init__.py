"""Tables that the database must contain, steps that bring it there, and ids of texts."""
