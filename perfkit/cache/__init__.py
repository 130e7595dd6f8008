"""Cache-aside over Redis: keys, one fill per key, invalidation, a server of one's own, counters."""
