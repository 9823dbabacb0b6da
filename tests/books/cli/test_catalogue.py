"""`shelfwire catalogue`: build one, kill it, go on, and look into it."""

import json
import signal
from pathlib import Path

import pytest

from tests.books.catalogue.dumps import author, edition, write
from tests.cli.conftest import Shelfwire
from tests.processes import ROOT, UNMEASURED, Process

LIST = ROOT / "examples" / "catalogue.csv"
SIGNALLED = Path(__file__).with_name("signalled.py")
LINES = 6_000


def signalled(number: signal.Signals, env: dict[str, str], *words: str) -> tuple[int, str, str]:
    """Run a command whose build is sent the signal when it has put down some of what it reads."""
    # coverage takes a lock in its tracer, and never gets it again if the interrupt comes while it has it.
    with Process(str(SIGNALLED), str(int(number)), *words, env={**env, **UNMEASURED}) as process:
        out, err = process.communicate(timeout=60)
        return process.wait(), out, err


@pytest.fixture
def books(shelfwire: Shelfwire, tmp_path: Path) -> Path:
    out = tmp_path / "books.sqlite3"
    done = shelfwire("catalogue", "build", str(LIST), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Built {out}: 259 books, 26 ISBNs, ")
    return out


def test_a_book_is_found_by_isbn_or_misspelt_title_as_table_or_json(shelfwire: Shelfwire, books: Path) -> None:
    table = shelfwire("catalogue", "search", "shakespear hamlett", "--catalogue", str(books))
    assert table.returncode == 0
    assert [word for word in ("Hamlet", "William Shakespeare", "1603", "Score") if word not in table.stdout] == []
    by_variable = shelfwire("catalogue", "search", "0-14-044914-0", "--json", SHELFWIRE_CATALOGUE=str(books))
    assert json.loads(by_variable.stdout) == [
        {
            "score": 1.0,
            "sure": True,
            "title": "The Republic",
            "authors": ["Plato"],
            "isbn13s": ["9780140449143"],
            "isbn10s": ["0140449140"],
            "published": "-375",
            "language": "el",
        }
    ]
    told = shelfwire(
        "catalogue", "search", "metamorfosis", "--author", "kafka", "--limit", "1", "--json", "--catalogue", str(books)
    )
    (found,) = json.loads(told.stdout)
    assert (found["authors"], found["sure"]) == (["Franz Kafka"], True)
    nothing = shelfwire("catalogue", "search", "qqqqqq", "--catalogue", str(books))
    assert (nothing.returncode, nothing.stdout) == (0, f"Nothing in {books} is like that\n")
    assert shelfwire("catalogue", "search", "qqqqqq", "--json", "--catalogue", str(books)).stdout == "[]\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("search", "Emma"), "Which catalogue? Name its file: --catalogue FILE, or set SHELFWIRE_CATALOGUE"),
        (("search", "Emma", "--catalogue", "no-such-file"), "There is no catalogue no-such-file. Make one: "),
        (
            ("build", "README.md", "--out", "no-such-folder/books"),
            "no-such-folder/books cannot be written: name a file",
        ),
        (("build", "README.md"), "--out"),
    ],
)
def test_what_cannot_work_is_told_in_one_line(shelfwire: Shelfwire, words: tuple[str, ...], said: str) -> None:
    done = shelfwire("catalogue", *words)
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_bad_lines_are_named_and_do_no_harm(shelfwire: Shelfwire, tmp_path: Path) -> None:
    dump = write(tmp_path / "dump.txt", author(1, "Jane Austen"), *["rubbish\n"] * 9, edition(1, "Emma", authors=[1]))
    done = shelfwire("catalogue", "build", str(dump), "--out", str(tmp_path / "books"))
    assert done.returncode == 0
    assert "Left out 9 of 11 lines of dump.txt:\n  line 2 has too few columns: 1 instead of 5\n" in done.stdout
    assert done.stdout.endswith("  and 4 more\n")


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is read in several parts."""
    lines = [edition(number, f"Book {number}") for number in range(1, LINES + 1)]
    return write(tmp_path_factory.mktemp("dump") / "dump.txt", *lines)


def test_a_killed_build_goes_on_when_it_is_typed_again(
    shelfwire: Shelfwire, env: dict[str, str], dump: Path, tmp_path: Path
) -> None:
    out = tmp_path / "books"
    build = "catalogue", "build", str(dump), "--out", str(out)
    assert signalled(signal.SIGKILL, env, *build) == (-signal.SIGKILL, "", "")
    refused = shelfwire("catalogue", "search", "Book 7", "--catalogue", str(out))
    assert (refused.returncode, "is not finished. Start its build again" in refused.stderr) == (2, True)
    done = shelfwire(*build)
    assert done.stdout.startswith(f"Went on with an interrupted build. Built {out}: {LINES:,} books"), done.stderr
    last = f"Book {LINES - 1}"
    found = json.loads(shelfwire("catalogue", "search", last, "--json", "--catalogue", str(out)).stdout)
    assert found[0]["title"] == last
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("books")) == ["books"]


def test_an_interrupted_build_says_how_to_go_on(env: dict[str, str], dump: Path, tmp_path: Path) -> None:
    assert signalled(signal.SIGINT, env, "catalogue", "build", str(dump), "--out", str(tmp_path / "books")) == (
        130,
        "",
        "shelfwire: Interrupted. Start it again with the same arguments, and it goes on from here\n",
    )
