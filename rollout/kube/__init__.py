"""The API server, seen from the operator: requests, server-side apply, prune, drift."""
