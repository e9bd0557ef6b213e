"""Kernelscope: log what BPF scripts see on many hosts, and look at it."""

__version__ = "0.1.0"
