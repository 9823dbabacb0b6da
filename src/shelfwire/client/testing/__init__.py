"""For tests of code that uses the client: a server in memory, and a clock on which no wait takes any time.

    server = FakeServer(Start(2), Record("Dune"), Cut(), Record("Emma"), Complete("Added 2 books"))
    async with Client(http=server, clock=InstantClock()) as client:
        ...

Every job takes the steps of the server's script, one whenever a follower waits for a change. The messages are made by
the rules of a real server. Work that reports its job is tested with it too, without a network:

    server = FakeServer()
    with BlockingClient(http=server) as client, client.report("pdf_report", total=2) as job:
        make_report(job)
    assert [item["title"] for item in server.jobs[job.job_id].items] == ["Cover", "Page 1"]
"""

from shelfwire.client.testing.fake_job import Complete, Cut, Fail, Record, Say, Start, Step
from shelfwire.client.testing.server import FakeServer, InstantClock, problem

__all__ = ["Complete", "Cut", "Fail", "FakeServer", "InstantClock", "Record", "Say", "Start", "Step", "problem"]
