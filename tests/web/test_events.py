from shelfwire.protocol.messages import Message, decode
from tests.live import MakeServer, bearer


async def test_only_who_was_told_the_ending_itself_is_told_that_there_is_nothing_more(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit()
        seq = (await server.ended(job))["seq"]
        headers = bearer(job["token"])
        events = f"/api/jobs/{job['jobId']}/events"
        told = await server.http.get(events, headers={**headers, "Last-Event-ID": str(seq)})
        # Progress and ending share a revision: whoever comes `after` it may have been cut off between the two.
        short = await server.http.get(events, params={"after": seq}, headers=headers)
        whole = await server.http.get(events, headers=headers)
    assert (told.status_code, told.content) == (204, b"")
    assert types(short.text) == ["job_complete"]
    assert types(whole.text) == ["job_started", "job_progress", "job_complete"]


def types(stream: str) -> list[str]:
    data = [line.removeprefix("data: ") for line in stream.split("\n") if line.startswith("data: ")]
    messages = [decode(text) for text in data]
    return [message.type for message in messages if isinstance(message, Message)]
