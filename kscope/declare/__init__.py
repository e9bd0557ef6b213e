"""The declarations of a category: model, units, aggregates, values, parts of a request."""
