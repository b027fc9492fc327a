"""Learning from a service's own history what its pods differ by without anybody's fault. Numpy only."""
