"""Filters and computed columns as SQL; generate/dialects spells functions for each database."""
