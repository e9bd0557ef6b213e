"""A question -> SQLAlchemy Core statements -> an answer, the same for every engine."""
