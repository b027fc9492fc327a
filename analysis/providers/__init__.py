"""Metric providers: a file a provider."""
