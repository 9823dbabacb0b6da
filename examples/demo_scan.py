"""A bookshelf, read on this machine, its books confirmed by a small catalogue, and the photo with their outlines.

make demo-scan
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

HOME: Final = Path(__file__).resolve().parent.parent
CATALOGUE: Final = "examples/catalogue.csv"
PHOTO: Final = "examples/shelf.jpg"
OUTLINED: Final = "shelf-books.jpg"


def main() -> int:
    """Scan the example and return the command's exit code."""
    with tempfile.TemporaryDirectory(prefix="shelfwire-demo-") as folder:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHELFWIRE_", "GEMINI_"))}
        own = {name: f"{folder}/{name.lower()}" for name in ("STATE", "DATA", "CATALOGUE")}
        environ = {**kept, **{f"SHELFWIRE_{name}": path for name, path in own.items()}}
        return _shelfwire("catalogue", "build", CATALOGUE, "--out", own["CATALOGUE"], environ=environ) or _shelfwire(
            "scan", PHOTO, "--annotate", OUTLINED, environ=environ
        )


def _shelfwire(*words: str, environ: Mapping[str, str]) -> int:
    print(f"$ shelfwire {' '.join(words)}", flush=True)
    command = [sys.executable, "-m", "shelfwire", *words]
    return subprocess.run(command, cwd=HOME, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
