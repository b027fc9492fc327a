"""What users write: a file a kind."""
