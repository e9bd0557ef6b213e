"""Real profilers of other projects, and programs that they profile."""
