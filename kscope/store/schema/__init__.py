"""The tables that the database must contain, and the steps that bring it there."""
