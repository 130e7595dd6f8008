"""
The command line with queries that take longer: `python benchmarks/planted.py 1.3 bench …`.

Every Query that boto3 makes is followed by so much of its own time again that the call takes FACTOR
times as long. It stands here and not in perfkit: nobody should have such an option.
"""

import sys
import time
from typing import Any

from botocore.client import BaseClient

from perfkit.cli import main

__all__ = ["plant"]


def plant(factor: float) -> None:
    """Make every Query of this process take *factor* times as long."""
    plain = BaseClient._make_api_call  # noqa: SLF001 - every call goes through it

    def slower(client: Any, operation: str, arguments: Any) -> Any:
        start_s = time.perf_counter()
        answer = plain(client, operation, arguments)
        if operation == "Query":
            end_s = start_s + factor * (time.perf_counter() - start_s)
            # a pause would give the processor away and wake late
            while time.perf_counter() < end_s:
                pass
        return answer

    BaseClient._make_api_call = slower  # noqa: SLF001


if __name__ == "__main__":
    plant(float(sys.argv.pop(1)))
    main()
