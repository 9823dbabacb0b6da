"""A pipeline of one's own, which counts the words of each line of a text. Run it: python examples/own_pipeline.py."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from shelfwire import Client, CodeEntry, ErrorCode, Job, Pipeline, Settings, Shelfwire, ShelfwireError, Upload
from shelfwire.server.serving import serving


class WordCode(ErrorCode):
    """The errors of a line."""

    LINE_EMPTY = (
        "E_LINE_EMPTY",
        CodeEntry(422, retryable=False, message="The line is empty", user_message="This line is empty."),
    )


class Line(msgspec.Struct):
    """The result of a line."""

    line: int
    words: int


class WordCount(Pipeline):
    """Each line of the input `file` is an item: counted, or failed where it is empty."""

    name = "word_count"
    result = Line
    codes = WordCode

    async def run(self, job: Job) -> str:
        """Count what is left to count."""
        lines = (await job.input("file")).decode(errors="replace").splitlines()
        await job.start(len(lines), job.metadata)
        async for index, line in job.pending(lines):
            if line.strip():
                job.record(index, Line(index + 1, len(line.split())), title=line)
            else:
                why = f"Line {index + 1} is empty."
                job.fail(index, ShelfwireError("E_LINE_EMPTY", why, user_message=why))
        return f"Counted {job.succeeded} lines"


async def main() -> None:
    """Serve it, send it a text, and follow the job."""
    text = Upload(
        "poem.txt", b"Not like the brazen giant of Greek fame,\n\nWith conquering limbs astride from land to land"
    )
    with TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder), port=0)
        async with serving(Shelfwire(settings, pipelines=[WordCount()]), settings) as url, Client(url) as client:
            job = await client.start("word_count", file=text)
            async for message in client.follow(job):
                print(message.type, message.payload)
            async for item in client.results(job):
                print(item)


if __name__ == "__main__":
    asyncio.run(main())
