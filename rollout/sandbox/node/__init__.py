"""One pretended node: ReplicaSets become pods, pods become local processes, ready pods become endpoints."""
