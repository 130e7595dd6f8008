"""`python -m perfkit`: the same as the command."""

from perfkit.cli import main

if __name__ == "__main__":
    main()
