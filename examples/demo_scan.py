"""A bookshelf, read on this machine: the books on `examples/shelf.jpg`, and the photo with their outlines.

make demo-scan
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HOME: Final = Path(__file__).resolve().parent.parent
PHOTO: Final = "examples/shelf.jpg"
OUTLINED: Final = "shelf-books.jpg"


def main() -> int:
    """Scan the example and return the command's exit code."""
    with tempfile.TemporaryDirectory(prefix="shelfwire-demo-") as folder:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHELFWIRE_", "GEMINI_"))}
        own = {"SHELFWIRE_STATE": f"{folder}/state", "SHELFWIRE_DATA": f"{folder}/data"}
        words = ["scan", PHOTO, "--annotate", OUTLINED]
        print(f"$ shelfwire {' '.join(words)}", flush=True)
        command = [sys.executable, "-m", "shelfwire", *words]
        return subprocess.run(command, cwd=HOME, env={**kept, **own}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
