"""`perfkit down`: stops what `perfkit up` started."""

import typer

__all__ = ["down"]


def down() -> None:
    """
    Stop the service, its workers and its servers.

    Example: perfkit down
    """
    from perfkit.service import launch

    stopped = launch.down()
    for what in stopped:
        typer.echo(f"Stopped the {what}.")
    if not stopped:
        typer.echo("Nothing was running.")
