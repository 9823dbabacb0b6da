"""The commands of the books run as all the others do."""

from tests.cli.conftest import env, here, library, server, shelfwire, start

__all__ = ["env", "here", "library", "server", "shelfwire", "start"]
