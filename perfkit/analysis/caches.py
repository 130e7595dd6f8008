"""Runs through a cache: what their variants are called."""

__all__ = ["IN_TROUBLE", "WARM"]

WARM = "cached-warm"
"""Every answer is in the cache."""

IN_TROUBLE = frozenset({"cache-killed", "cache-hanging"})
"""The cache's server is killed, or hangs, on purpose: its errors are no error rate of anything."""
