"""A question reads its tables and adds up the results."""
