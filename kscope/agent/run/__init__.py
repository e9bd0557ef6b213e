"""One probe's life: configure, run, limit its cost, report its losses."""
