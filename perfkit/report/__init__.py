"""
Reports: built from saved runs as tables and sections, and written in several formats.

`build.build_report` builds one; `terminal`, `plain`, `markdown`, `json_document` and `csv_tables`
write it. Nothing is imported here, because the command line loads this package to show its help.
"""

__all__: list[str] = []
