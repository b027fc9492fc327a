"""The command `coalmine`: main, and a file a verb group."""
