"""shelfwire inside a FastAPI application, which starts jobs itself. Run it: python examples/embed_fastapi.py.

Then:  curl -X POST --data-binary @examples/goodreads_export.csv http://127.0.0.1:8000/books
and follow the job with its token at /shelfwire/ws/progress or /shelfwire/api/jobs/{jobId}/events.
"""

import os

import uvicorn
from fastapi import FastAPI, Request

from shelfwire import Shelfwire
from shelfwire.settings import load

jobs = Shelfwire(load({}, os.environ))
app = FastAPI(lifespan=jobs.lifespan)
app.mount("/shelfwire", jobs)


@app.post("/books", status_code=202)
async def add_books(request: Request) -> dict[str, str]:
    """Import a book list for a user of this application, and return the job's token."""
    job = await jobs.start("csv_import", {"file": await request.body()})
    return {"jobId": job.job_id, "token": job.token}


if __name__ == "__main__":
    # With a limit: the server waits for open event streams otherwise, and those last as long as their jobs.
    uvicorn.run(app, timeout_graceful_shutdown=5)
