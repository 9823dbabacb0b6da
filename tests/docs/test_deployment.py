"""The files for running shelfwire as a service or in a container, as far as they can be tried without doing so."""

import re
import shutil
import subprocess

import pytest

from tests.docs.pages import ROOT

UNIT = ROOT / "deploy" / "shelfwire.service"
MOST_EXPOSED = 30
"""Of 100: what systemd calls OK ends at 50; this is 3.0 on the scale of ten that it prints."""
PAGE = ROOT / "docs" / "howto" / "deploy.md"
IN_A_CONTAINER = {
    "listen 443 ssl;": "listen 80;",
    "    server_name books.example.com;\n": "",
    "    ssl_certificate     /etc/ssl/books.example.com.pem;\n": "",
    "    ssl_certificate_key /etc/ssl/books.example.com.key;\n": "",
    "/var/log/nginx/shelfwire.log": "/dev/stdout",
    "/var/log/nginx/shelfwire-errors.log": "/dev/stderr",
    "http://127.0.0.1:8787": "http://shelfwire:8787",
}
"""What is otherwise for the nginx of compose.yaml: the page's is tried with the real one."""


def test_the_unit_of_systemd_keeps_the_process_from_all_that_it_does_not_need() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    command = ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={MOST_EXPOSED}", str(UNIT)]
    rating = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    assert rating.returncode == 0, rating.stdout + rating.stderr


def test_the_nginx_of_the_compose_file_is_configured_as_the_page_shows_it() -> None:
    found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    wanted = found[1]
    for shown, inside in IN_A_CONTAINER.items():
        assert shown in wanted
        wanted = wanted.replace(shown, inside)
    comment, _, configuration = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8").partition("\n")
    assert comment.startswith("# ")
    assert configuration == wanted
