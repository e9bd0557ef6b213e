"""The agent: runs probes, keeps what they saw on disk until the server has it."""
