"""A server with its page for browsers, opened on a reader's export that is imported into it. Ctrl-C ends it.

make demo-web
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Final

from shelfwire.books.client import BlockingBooksClient

HOME: Final = Path(__file__).resolve().parent.parent
EXPORT: Final = HOME / "examples" / "goodreads_export.csv"
PORT: Final = 8787
STOP_SECONDS: Final = 15


def main() -> int:
    """Serve until Ctrl-C, and return the server's exit code."""
    with tempfile.TemporaryDirectory(prefix="shelfwire-demo-") as folder:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SHELFWIRE_")}
        environ = {**kept, "SHELFWIRE_STATE": f"{folder}/state", "SHELFWIRE_DATA": f"{folder}/data"}
        command = [sys.executable, "-m", "shelfwire", "serve", "--port", str(_port()), "--json"]
        with Path(folder, "server.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environ, process_group=0)
        with process:
            assert process.stdout is not None  # noqa: S101 - it was asked for above
            line = process.stdout.readline()
            if not line:
                print(Path(folder, "server.log").read_text(), file=sys.stderr)
                return process.wait()
            try:
                _show(json.loads(line)["url"])
                return process.wait()
            except KeyboardInterrupt:
                print("\nThe server stops; the temporary folder is gone.")
                return 128 + signal.SIGINT
            finally:
                process.terminate()
                process.wait(STOP_SECONDS)


def _show(url: str) -> None:
    with BlockingBooksClient(url) as client:
        job = client.import_csv(EXPORT)
    link = f"{url}/#/open/{job.job_id}/{job.token}"
    print(f"The page for readers, with {EXPORT.name} imported:\n\n  {link}\n")
    print(
        f"Bring a list or photos of your own along at {url}/, and look after all jobs at {url}/admin. Ctrl-C ends it."
    )
    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(link)


def _port() -> int:
    """The usual port, or a free one where that is taken."""
    with socket.socket() as tried:
        return 0 if tried.connect_ex(("127.0.0.1", PORT)) == 0 else PORT


if __name__ == "__main__":
    sys.exit(main())
