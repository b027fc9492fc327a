"""The shell: the only importer of kopf. Watches in, turns out, one Lease."""
