"""Traffic routers: a file a router. Pure readers and writers of the router's objects."""
