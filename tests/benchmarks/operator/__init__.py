"""What the operator costs, and how fast it reacts: a file a family of figures."""
