"""
Two runs, or two folders of runs, side by side: what changed, and whether that is certain.

`sides` finds the runs, `match` says which of them may stand beside which, `judge` holds the
figures of each variant together, and `build` makes the report.
"""

__all__: list[str] = []
