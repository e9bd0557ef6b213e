"""What runs a probe: bcc, bpftrace, or a recording."""
