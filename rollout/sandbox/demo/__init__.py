"""The demo: three releases of a small shop, each as a person would push it."""
