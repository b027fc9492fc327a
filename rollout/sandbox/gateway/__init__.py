"""The gateway of a sandbox: a small Gateway API controller that drives Envoy by files."""
