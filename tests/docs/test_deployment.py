"""The files for running shelfwire as a service or in a container, as far as they can be tried without doing so."""

import shutil
import subprocess

import pytest

from tests.docs.pages import ROOT

UNIT = ROOT / "deploy" / "shelfwire.service"
MOST_EXPOSED = 30
"""Of 100: what systemd calls OK ends at 50; this is 3.0 on the scale of ten that it prints."""


def test_the_unit_of_systemd_keeps_the_process_from_all_that_it_does_not_need() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    command = ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={MOST_EXPOSED}", str(UNIT)]
    rating = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    assert rating.returncode == 0, rating.stdout + rating.stderr
