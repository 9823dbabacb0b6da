"""A FastAPI application whose page shows an import as it goes, with <shelfwire-progress>.

Build the client first: make client. Then run it: python examples/element_fastapi.py, and open http://127.0.0.1:8000
"""

import os
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from shelfwire import Shelfwire
from shelfwire.settings import load

CLIENT = os.environ.get("CLIENT", Path(__file__).parents[1] / "clients" / "typescript" / "dist")
PAGE = """<!doctype html>
<title>Import a list of books</title>
<link rel="icon" href="data:,">
<p><label>Book list <input type="file"></label></p>
<shelfwire-progress label="Import"></shelfwire-progress>
<script type="module">
  import "./client/element.js";
  const progress = document.querySelector("shelfwire-progress");
  progress.setAttribute("server", new URL("shelfwire", location.href));
  document.querySelector("input").addEventListener("change", async ({ target }) => {
    const answer = await fetch("books", { method: "POST", body: target.files[0] });
    progress.job = await answer.json();
  });
</script>
"""

jobs = Shelfwire(load({}, os.environ))
app = FastAPI(lifespan=jobs.lifespan)
app.mount("/shelfwire", jobs)
app.mount("/client", StaticFiles(directory=CLIENT, check_dir=False))


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    """Show the page."""
    return PAGE


@app.post("/books", status_code=202)
async def add_books(request: Request) -> dict[str, str]:
    """Import a book list for a user of this application, and return the job's token."""
    job = await jobs.start("csv_import", {"file": await request.body()})
    return {"jobId": job.job_id, "token": job.token}


if __name__ == "__main__":
    # With a limit: the server waits for open event streams otherwise, and those last as long as their jobs.
    uvicorn.run(app, timeout_graceful_shutdown=5)
