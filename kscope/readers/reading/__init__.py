"""One pass over a recording: its bytes, its lines, the columns that it fills."""
