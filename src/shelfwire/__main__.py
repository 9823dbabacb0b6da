"""`python -m shelfwire` is the command `shelfwire`."""

import sys

from shelfwire.cli import main

sys.exit(main())
