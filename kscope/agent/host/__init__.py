"""What the kernel and the machine offer: tracefs, cgroups, symbols, libbcc, headers."""
