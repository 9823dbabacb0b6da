"""Has pytest run what README.md and the pages in docs/ show."""

from tests.docs.pages import pages

pytest_collect_file = pages.pytest()
