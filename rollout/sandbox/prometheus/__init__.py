"""A small Prometheus: scrapes the sandbox's pods and answers the query API with raw samples, or PromQL by prombed."""
