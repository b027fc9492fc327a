"""A file a kind: caches -> world -> decide -> execute -> status."""
