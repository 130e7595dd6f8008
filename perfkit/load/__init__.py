"""Load on a running service, and what is seen of it meanwhile."""
