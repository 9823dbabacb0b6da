"""For tests of code that uses the client: a server in memory, and a clock on which no wait takes any time.

    server = FakeServer(Start(2), Record("Dune"), Cut(), Record("Emma"), Complete("Added 2 books"))
    async with Client(http=server, clock=InstantClock()) as client:
        ...

Every job takes the steps of the server's script, one whenever a follower waits for a change. The messages are made by
the rules of a real server.
"""

from shelfwire.client.testing.fake_job import Complete, Cut, Fail, Record, Say, Start, Step
from shelfwire.client.testing.server import FakeServer, InstantClock, problem

__all__ = ["Complete", "Cut", "Fail", "FakeServer", "InstantClock", "Record", "Say", "Start", "Step", "problem"]
