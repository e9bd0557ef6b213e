"""Four hours of a small fleet with known incidents, made up: to be found on the page."""
