"""YAML text becomes a checked catalog; every problem names its file and line."""
