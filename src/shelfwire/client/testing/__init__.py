"""For tests of code that uses the client: a server in memory, and a clock that makes no one wait.

    server = FakeServer(Start(2), Record("Dune"), Cut(), Record("Emma"), Complete("Added 2 books"))
    async with Client(http=server, clock=InstantClock()) as client:
        ...

Every job goes through the server's script, one step whenever a follower waits for news. The messages come from the
same rules as a real server's.
"""

from shelfwire.client.testing.fake_job import Complete, Cut, Fail, Record, Say, Start, Step
from shelfwire.client.testing.server import FakeServer, InstantClock, problem

__all__ = ["Complete", "Cut", "Fail", "FakeServer", "InstantClock", "Record", "Say", "Start", "Step", "problem"]
