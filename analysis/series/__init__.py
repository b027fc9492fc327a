"""From raw samples to counts a pod and window: where most false verdicts of other judges start."""
