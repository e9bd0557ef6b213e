"""Names of functions by build id: they name frames that agents could not."""
