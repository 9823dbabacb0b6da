"""Whether Gemini helps, as a person says it at the command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.books.fake_gemini import KEY, FakeGemini, fake_gemini, reads
from tests.cli.conftest import Shelfwire, Start, read_until


@pytest.fixture
def fake() -> Iterator[FakeGemini]:
    with fake_gemini() as server:
        yield server


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    path = tmp_path / "odd.csv"
    path.write_text("Frank Herbert,Dune\nJane Austen,Emma\n")
    return path


def test_a_key_in_the_environment_is_all_that_an_import_needs_for_help(
    shelfwire: Shelfwire, fake: FakeGemini, odd: Path
) -> None:
    done = shelfwire("import", str(odd), GEMINI_API_KEY=KEY, SHELFWIRE_GEMINI_URL=fake.url)
    assert (done.returncode, len(fake.calls)) == (0, 1)
    assert "Imported 2 books. Gemini used 305 tokens" in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_never_keeps_the_list_on_the_machine_whatever_the_environment(
    shelfwire: Shelfwire, fake: FakeGemini, odd: Path
) -> None:
    done = shelfwire("import", "--gemini", "never", str(odd), GEMINI_API_KEY=KEY, SHELFWIRE_GEMINI_URL=fake.url)
    assert (done.returncode, fake.calls) == (0, [])
    assert "Gemini" not in done.stdout


def test_always_without_a_key_says_what_is_missing(shelfwire: Shelfwire, odd: Path) -> None:
    refused = shelfwire("import", "--gemini", "always", str(odd), GEMINI_API_KEY="")
    assert refused.returncode == 4
    assert "GEMINI_API_KEY" in refused.stderr


def test_another_word_is_a_mistake_and_the_right_ones_are_told(shelfwire: Shelfwire, odd: Path) -> None:
    mistaken = shelfwire("import", "--gemini", "sometimes", str(odd))
    assert mistaken.returncode == 2
    assert all(word in mistaken.stderr for word in ("auto", "always", "never"))


def test_a_killed_import_goes_on_where_it_was_and_pays_for_no_answer_twice(
    start: Start, shelfwire: Shelfwire, fake: FakeGemini, tmp_path: Path
) -> None:
    path = tmp_path / "prose.csv"
    path.write_text("".join(f"The Book {n} by Author Nr{n}\n" for n in range(1, 61)))
    env = {"GEMINI_API_KEY": KEY, "SHELFWIRE_GEMINI_URL": fake.url}
    fake.usual = lambda call: reads(call) if call.rows[0] == 1 else None
    process = start("import", "--json", str(path), **env)
    read_until(process, '"processedCount":40')
    process.kill()
    process.wait()

    fake.usual = reads
    done = shelfwire("watch", "last", **env)
    assert done.returncode == 0, done.stderr
    assert "Imported 60 books. Gemini used 610 tokens" in done.stdout
    assert fake.asked_rows.count(1) == 1
    assert fake.asked_rows.count(41) == 2
