"""agent.py runs probes, one spool, one sender; doctor.py checks the host."""
