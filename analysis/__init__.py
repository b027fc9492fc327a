"""Metrics in, verdict out. Never imports rollout; importing this package imports no numpy."""
