"""`python -m shelfwire` is the command `shelfwire`."""

import sys

# Processes that are started by this one look at this file too.
if __name__ == "__main__":
    from shelfwire.cli import main

    sys.exit(main())
