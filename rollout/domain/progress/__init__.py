"""How one Rollout moves: each module is one stage of a turn."""
