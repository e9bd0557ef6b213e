"""The declarations of a category: model, units, aggregates, options, parts of a request."""
