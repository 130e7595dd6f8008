"""Where perfkit keeps its own things and which environment variables it reads."""

from pathlib import Path

__all__ = [
    "DATA_FILE",
    "DATA_VARIABLE",
    "DEMO_PAGE",
    "ENFORCE_VARIABLE",
    "FOLDER",
    "INDEX_DELAY_VARIABLE",
    "LATENCY_VARIABLE",
    "LIKE_AWS_DELAY_S",
    "MIGRATIONS_FOLDER",
    "PAGE",
    "REDIS_VARIABLE",
    "RUNS_FOLDER",
    "TABLES_FOLDER",
    "TARGET_VARIABLE",
    "TRACES_FOLDER",
    "WORKLOAD_FILE",
    "WORKLOAD_VARIABLE",
]

FOLDER = Path(".perfkit")
"""Everything perfkit writes by default, under the current folder."""

DATA_FILE = FOLDER / "dynamodb.sqlite3"
TRACES_FOLDER = FOLDER / "traces"
"""What `perfkit record` recorded."""

RUNS_FOLDER = FOLDER / "runs"

MIGRATIONS_FOLDER = FOLDER / "migrations"
"""How far a preflight is, and what migrations did."""

PAGE = FOLDER / "report.html"
"""The report as a page: `perfkit run` writes it, and `report --open` unless told where."""

DEMO_PAGE = FOLDER / "demo.html"
"""What `perfkit migrate demo` shows, unless told where."""

TABLES_FOLDER = FOLDER / "tables"
"""Which tables perfkit made on targets that keep no tags."""

WORKLOAD_FILE = Path("perfkit.toml")
"""The workload of the folder one is in."""

WORKLOAD_VARIABLE = "PERFKIT_WORKLOAD"
TARGET_VARIABLE = "PERFKIT_TARGET"
DATA_VARIABLE = "PERFKIT_DATA"
ENFORCE_VARIABLE = "PERFKIT_ENFORCE_THROUGHPUT"
LATENCY_VARIABLE = "PERFKIT_LATENCY"
INDEX_DELAY_VARIABLE = "PERFKIT_INDEX_DELAY"
LIKE_AWS_DELAY_S = 1.0
"""By how much indexes lag with `--like-aws`: AWS says "within a second"."""

REDIS_VARIABLE = "PERFKIT_REDIS_URL"
