"""Scenarios: comparisons of several variants of the same question, measured side by side."""
