"""From kernel values to rows, and from rows to request bodies; also recordings of rows."""
