"""`python -m shelfwire` is the command `shelfwire`."""

import sys


def main() -> int:
    """Run the command."""
    # Processes that the command starts import this file too, and need nothing of the command line.
    from shelfwire.cli import main as command  # noqa: PLC0415

    return command()


if __name__ == "__main__":
    sys.exit(main())
