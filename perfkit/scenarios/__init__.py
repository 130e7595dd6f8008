"""Scenarios: comparisons of several ways to answer the same question, measured side by side."""
