"""`make bench-decisions`: how often judges roll back without a reason, and how soon with one."""
