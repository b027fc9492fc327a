"""From files of a commit to desired objects: plain YAML and Kustomize, bounded and jailed."""
