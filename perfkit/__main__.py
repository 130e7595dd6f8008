"""The entry point of the command, and `python -m perfkit`."""

from perfkit.console import interrupts, prepare_streams


def main() -> None:
    """Run perfkit."""
    interrupts.install()
    prepare_streams()
    # all that a command needs is loaded from here on, and that may be interrupted
    from perfkit.cli import main as run

    run()


if __name__ == "__main__":
    main()
