"""Tables of ClickHouse: the order of their rows, codecs, columns that the engine computes."""
