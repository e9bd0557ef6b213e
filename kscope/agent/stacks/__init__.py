"""Whole user stacks: interpreters' own frames."""
