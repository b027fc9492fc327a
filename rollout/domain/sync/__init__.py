"""What an Application decides: sync, quarantine, revert and prune. Pure."""
