"""The kernel and the machine: tracefs, cgroups, symbols, libbcc, headers."""
