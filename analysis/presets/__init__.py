"""Presets: ClusterAnalysisTemplates for common meshes, gateways and runtimes, one a YAML file."""
