"""Coalmine: Git in, traffic in steps, Git out."""

__version__ = "0.1.0"
