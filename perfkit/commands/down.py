"""`perfkit down`: stops what `perfkit up` started."""

from perfkit.commands.output import note, print_text
from perfkit.settings import FOLDER

__all__ = ["down"]


def down() -> None:
    """
    Stop the service, its workers and its servers.

    A service that runs in the foreground, and the cache server it started, are left alone.

    Example: perfkit down
    """
    from perfkit.processes import redis_server
    from perfkit.service import launch

    stopped = launch.down()
    for what in stopped:
        print_text(f"Stopped the {what}.")
    if not stopped:
        print_text("Nothing was running.")
    if redis_server.find(FOLDER) is not None:
        note(
            "The cache server goes on: not `perfkit up` started it but a process in the"
            " foreground, such as `perfkit serve`, which ends it."
        )
