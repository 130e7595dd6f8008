"""
A report as one HTML file that needs nothing beside it: styles, charts and figures are inside.

`page` fills the templates; `charts`, `diagrams`, `tables` and `colours` prepare what they show.
"""

from perfkit.report.html.page import render_report

__all__ = ["render_report"]
