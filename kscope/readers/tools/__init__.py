"""Parts of the text that tracers print: times, histograms, stacks, tables, maps."""
