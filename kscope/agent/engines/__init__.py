"""bcc, bpftrace, replay: one module runs a probe's program."""
