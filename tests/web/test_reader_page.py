"""The reader's page in a real browser: its stories, and each of its screens."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from shelfwire.jobs.frames import Dismissal
from shelfwire.settings import Secret
from tests.books.fake_services import GOOGLE_BOOKS, OPEN_LIBRARY, Catalogues, library
from tests.ports import free_port
from tests.processes import ROOT
from tests.web.browser import HEIGHT, Live, browser, check, opened, serving, violations

HOSTILE: Final = (
    "<img src=x onerror=alert(1)>",
    "\u202eabc def",
    "=HYPERLINK(1)",
    "W" * 300,
    "</script><script>alert(1)</script>",
)
SHELF: Final = ROOT / "examples" / "shelf.jpg"
KEY: Final = "a-key-of-the-operator"
LIST: Final = b"""Title,Author,ISBN13
Dune,Frank Herbert,9780441172719
Emma,Jane Austen,
,Somebody,
Emma,Jane Austen,
,Nobody,
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server as it is installed."""
    with serving(tmp_path_factory.mktemp("real")) as live:
        yield live


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Live]:
    """A server whose imports go on when the test says so."""
    with serving(tmp_path, gated=True) as live:
        yield live


def choose(page: Page, data: bytes, name: str = "library.csv") -> None:
    page.get_by_label("Choose a list").set_input_files({"name": name, "mimeType": "text/csv", "buffer": data})


def drop(page: Page, data: bytes, name: str) -> None:
    """Drop a file onto the page, as from another window."""
    transfer = page.evaluate_handle(
        "([text, name]) => { const data = new DataTransfer(); data.items.add(new File([text], name)); return data; }",
        [data.decode(), name],
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event(".drop", event, {"dataTransfer": transfer})


def test_a_list_that_is_dropped_is_imported_before_its_readers_eyes(chromium: Browser, real: Live) -> None:
    with opened(chromium, real.url) as page:
        drop(page, LIST, "library.csv")
        expect(page.get_by_role("heading", name="library.csv")).to_be_visible()
        verdict = page.get_by_text("2 books were imported; 3 rows were not imported.")
        expect(verdict).to_be_visible()
        expect(page).to_have_title("✓ library.csv")
        expect(page.get_by_role("cell", name="Dune")).to_be_visible()
        expect(page.get_by_role("cell", name="9780441172719")).to_be_visible()
        check(page)
        page.get_by_role("tab", name="Not imported 3").click()
        expect(page.get_by_text("Something is missing")).to_be_visible()
        expect(page.get_by_text("Repeats row 3")).to_be_visible()
        check(page)


def test_what_was_imported_is_searched_and_sorted(chromium: Browser, real: Live) -> None:
    rows = "".join(f"Book {n:05},Zoë Ångström {n % 7},{1900 + n % 100}\n" for n in range(3000))
    with opened(chromium, real.url) as page:
        choose(page, f"Title,Author,Year Published\n{rows}".encode())
        table = page.get_by_role("table")
        expect(table).to_have_attribute("aria-rowcount", "3001")
        assert page.locator(".scroll .row").count() < 40
        search = page.get_by_label("Search the books")
        search.fill("angstrom 02999")
        expect(page.get_by_role("status").filter(has_text="1 of 3,000 books")).to_be_visible()
        expect(page.get_by_role("cell", name="Book 02999")).to_be_visible()
        search.fill("nothing of this name")
        expect(page.get_by_text("No book has “nothing of this name”.")).to_be_visible()
        page.get_by_role("button", name="Clear the search").click()
        for _ in range(2):
            page.get_by_role("button", name="Title").click()
        expect(page.get_by_role("columnheader", name="Title")).to_have_attribute("aria-sort", "descending")
        expect(page.locator(".scroll .row").first).to_contain_text("Book 02999")
        page.locator(".scroll").evaluate("at => at.scrollTo(0, at.scrollHeight)")
        expect(page.get_by_role("cell", name="Book 00000")).to_be_visible()


def test_a_job_is_paused_resumed_and_canceled_after_one_question(chromium: Browser, gated: Live) -> None:
    with opened(chromium, gated.url) as page:
        choose(page, LIST)
        gated.step(420)
        expect(page.get_by_text("42%")).to_be_visible()
        expect(page).to_have_title("42% library.csv")
        expect(page.get_by_text("Live · WebSocket")).to_be_visible()
        expect(page.get_by_role("cell", name="Book 0", exact=True)).to_be_visible()
        check(page)
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Paused. It stays so")).to_be_visible()
        expect(page.locator(".bar.gold")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Resume").click()
        gated.step(80)
        expect(page.get_by_text("50%")).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Go on").click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("button", name="Stop it")).to_be_focused()
        page.get_by_role("button", name="Stop it").click()
        expect(page.get_by_text("You canceled this.")).to_be_visible()
        expect(page.get_by_text("had been done before that")).to_be_visible()
        expect(page).to_have_title("✕ library.csv")
        expect(page.get_by_role("button", name="Try the rest")).to_be_visible()
        check(page)
        page.get_by_role("tab", name="Not imported").click()
        expect(page.get_by_text("No row had failed by then.")).to_be_visible()


def test_a_page_whose_connection_is_cut_says_so_and_catches_up(chromium: Browser, gated: Live) -> None:
    async def cut() -> None:
        for follower in tuple(gated.server.app.service._hub._attached()):
            follower.dismiss(Dismissal.LEAVING)

    with opened(chromium, gated.url, refusals=True) as page:
        choose(page, LIST)
        gated.step(300)
        expect(page.get_by_text("30%")).to_be_visible()
        page.context.set_offline(True)
        gated.run(cut())
        expect(page.locator(".bar.gold")).to_be_visible()
        expect(page.locator(".now.held")).to_be_visible()
        expect(page.get_by_text("30%")).to_be_visible()
        page.context.set_offline(False)
        gated.step(300)
        expect(page.get_by_text("60%")).to_be_visible()
        expect(page.get_by_text("Live · WebSocket")).to_be_visible()
        expect(page.locator(".bar.gold")).to_have_count(0)
        gated.step(None)


def test_a_reload_goes_on_where_the_job_is_and_the_browser_finds_it_again(chromium: Browser, gated: Live) -> None:
    with opened(chromium, gated.url) as page:
        choose(page, LIST)
        gated.step(10)
        expect(page.get_by_text("1%")).to_be_visible()
        page.reload()
        expect(page.get_by_role("cell", name="Book 9")).to_be_visible()
        gated.step(None)
        expect(page.get_by_text("10 books were imported.")).to_be_visible()
        page.get_by_role("tab", name="Not imported").click()
        expect(page.get_by_text("Every row was imported.")).to_be_visible()
        page.get_by_role("link", name="shelfwire").click()
        expect(page.get_by_role("heading", name="Earlier in this browser")).to_be_visible()
        check(page)
        page.get_by_role("link", name="library.csv").click()
        expect(page.get_by_text("10 books were imported.")).to_be_visible()
        page.go_back()
        page.get_by_role("button", name="Forget library.csv").click()
        expect(page.get_by_text("Earlier in this browser")).to_have_count(0)
        assert page.evaluate("localStorage['shelfwire.jobs']") == "[]"


LISTEN: Final = """() => {
  window.announced = [];
  window.Notification = class extends Notification {
    constructor(title, options) { super(title, options); window.announced.push([title, options.body]); }
  };
}"""


def look_away(page: Page, *, away: bool) -> None:
    """Let the page take itself for one that nobody looks at, as in a tab behind another."""
    state = "hidden" if away else "visible"
    page.evaluate(
        "state => { Object.defineProperty(document, 'visibilityState', { get: () => state, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        state,
    )


@pytest.mark.parametrize(("asked", "away"), [(True, True), (True, False), (False, True)])
def test_the_end_is_announced_to_a_reader_who_asked_for_it_and_looks_elsewhere(
    chromium: Browser, gated: Live, *, asked: bool, away: bool
) -> None:
    with opened(chromium, gated.url, permissions=["notifications"]) as page:
        page.evaluate(LISTEN)
        choose(page, LIST)
        gated.step(10)
        if asked:
            page.get_by_role("button", name="Tell me when it is done").click()
            expect(page.get_by_role("button", name="You will be told when it is done")).to_be_disabled()
        look_away(page, away=away)
        gated.step(None)
        expect(page).to_have_title("✓ library.csv")
        assert page.evaluate("announced") == ([["All done", "library.csv"]] if asked and away else [])
        look_away(page, away=False)
        expect(page.get_by_text("10 books were imported.")).to_be_visible()


def test_a_reader_whose_browser_allows_no_notifications_is_offered_none(chromium: Browser, gated: Live) -> None:
    with opened(chromium, gated.url, permissions=["clipboard-read"]) as page:  # and no others
        choose(page, LIST)
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        expect(page.get_by_role("button", name="Copy a link to watch")).to_be_visible()
        expect(page.get_by_role("button", name="Tell me when it is done")).to_have_count(0)


def test_a_photo_that_cannot_be_read_stays_in_sight_with_the_reason(chromium: Browser, real: Live) -> None:
    damaged: FilePayload = {"name": "shelf.jpg", "mimeType": "image/jpeg", "buffer": SHELF.read_bytes()[:30_000]}
    other: FilePayload = {**damaged, "name": "other.jpg"}
    with opened(chromium, real.url) as page:
        page.get_by_label("Choose photos").set_input_files([damaged, other])
        expect(page.get_by_text("2 photos could not be read.")).to_be_visible(timeout=60_000)
        expect(page.get_by_role("alert")).to_have_count(2)
        expect(page.get_by_role("alert").first).to_contain_text("could not be opened")
        expect(page.get_by_role("heading", name="other.jpg", exact=True)).to_be_visible()
        expect(page.locator(".plate img")).to_have_count(2)
        expect(page.get_by_text("Download")).to_have_count(0)
        check(page)


def test_somebody_with_a_link_watches_and_does_nothing_else(chromium: Browser, gated: Live) -> None:
    with opened(chromium, gated.url, permissions=["clipboard-read", "clipboard-write"]) as page:
        choose(page, LIST)
        gated.step(500)
        expect(page.get_by_text("50%")).to_be_visible()
        page.get_by_role("button", name="Copy a link to watch").click()
        expect(page.get_by_text("The link is copied.")).to_be_visible()
        link = page.evaluate("navigator.clipboard.readText()")
        with opened(chromium, link) as watching:
            expect(watching.get_by_text("50%")).to_be_visible()
            token = link.rpartition("/")[2]
            assert token not in watching.url
            expect(watching.get_by_role("button", name="Pause")).to_have_count(0)
            expect(watching.get_by_role("tab")).to_have_count(0)
            watching.reload()
            expect(watching.get_by_text("50%")).to_be_visible()
            gated.step(None)
            expect(watching.get_by_text("500 books were imported.")).to_be_visible()


def test_a_file_that_is_refused_stays_to_be_tried_again(chromium: Browser, real: Live) -> None:
    with opened(chromium, real.url, refusals=True) as page:
        choose(page, b"", "nothing.csv")
        expect(page.get_by_role("alert")).to_have_text("nothing.csv is empty.")
        check(page)
        page.route("**/api/import/**", lambda route: route.fulfill(status=413))
        choose(page, LIST)
        expect(page.get_by_role("alert")).to_contain_text("more than the server takes")
        check(page)
        page.unroute("**/api/import/**")
        page.get_by_role("button", name="Send it again").click()
        expect(page.get_by_text("2 books were imported")).to_be_visible()


def test_a_file_on_its_way_can_be_called_back(chromium: Browser, real: Live) -> None:
    with opened(chromium, real.url) as page:
        page.route("**/api/import/**", lambda _: None)  # never answered
        choose(page, LIST)
        expect(page.get_by_text("Sending library.csv…")).to_be_visible()
        expect(page.get_by_role("progressbar", name="Sent")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_label("Choose a list")).to_be_attached()
        assert page.evaluate("localStorage['shelfwire.jobs']") is None


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["shelf.jpg", "library.csv"], "Send a list or photos, not both at once."),
        (["one.csv", "two.csv"], "Send one list at a time."),
        ([f"{number}.jpg" for number in range(21)], "Send up to 20 photos at a time."),
    ],
)
def test_files_that_cannot_go_together_are_refused_before_they_are_sent(
    chromium: Browser, real: Live, names: list[str], says: str
) -> None:
    with opened(chromium, real.url) as page:
        transfer = page.evaluate_handle(
            "names => { const data = new DataTransfer();"
            " for (const name of names) data.items.add(new File(['a'], name)); return data; }",
            names,
        )
        page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})
        expect(page.get_by_role("alert")).to_have_text(says)
        expect(page.get_by_label("Choose a list")).to_be_attached()


def test_a_screen_reader_hears_of_progress_at_every_tenth_and_not_more_often(chromium: Browser, gated: Live) -> None:
    with opened(chromium, gated.url) as page:
        choose(page, LIST)
        bar = page.get_by_role("progressbar", name="Progress of library.csv")
        gated.step(420)
        expect(bar).to_have_attribute("aria-valuetext", "42%, 420 of 1,000")
        gated.step(60)
        expect(bar).to_have_attribute("aria-valuenow", "48")
        expect(bar).to_have_attribute("aria-valuetext", "42%, 420 of 1,000")
        gated.step(20)
        expect(bar).to_have_attribute("aria-valuetext", "50%, 500 of 1,000")
        gated.step(None)


def test_a_server_with_a_key_is_given_it_by_its_reader(chromium: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, api_keys=(Secret(KEY),)) as live, opened(chromium, live.url, refusals=True) as page:
        choose(page, LIST)
        key = page.get_by_label("API key")
        expect(key).to_be_focused()
        check(page)
        key.fill("a wrong key")
        page.keyboard.press("Enter")
        expect(page.get_by_text("This key does not fit.")).to_be_visible()
        key.fill("another-wrong-key")
        page.keyboard.press("Enter")
        expect(key).to_have_value("")
        expect(page.get_by_text("This key does not fit.")).to_be_visible()
        key.fill(KEY)
        page.keyboard.press("Enter")
        expect(page.get_by_text("2 books were imported")).to_be_visible()
        assert KEY not in page.evaluate("JSON.stringify(localStorage)")


def test_a_job_that_this_browser_or_the_server_does_not_know_has_a_way_back(chromium: Browser, real: Live) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    with opened(chromium, f"{real.url}/#/job/{unknown}", refusals=True) as page:
        expect(page.get_by_role("heading", name="Not in this browser")).to_be_visible()
        check(page)
        job = {"jobId": unknown, "token": "gone", "name": "old.csv", "kind": "csv_import", "at": 0}
        page.evaluate("job => { localStorage['shelfwire.jobs'] = JSON.stringify([job]); }", job)
        page.reload()
        expect(page.get_by_role("heading", name="This job cannot be opened")).to_be_visible()
        page.get_by_role("link", name="Start another").click()
        expect(page.get_by_role("heading", name="Import your books")).to_be_visible()
        expect(page.get_by_text("old.csv")).to_have_count(0)


def test_titles_that_mean_harm_are_text_and_nothing_else(chromium: Browser, real: Live) -> None:
    rows = "".join('"' + title.replace('"', '""') + '",Somebody\n' for title in HOSTILE)
    with opened(chromium, real.url) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a title ran: {dialog.message}"))
        choose(page, f"Title,Author\n{rows}{rows}".encode(), "<b>bold</b>.csv")
        expect(page.get_by_role("heading", name="<b>bold</b>.csv")).to_be_visible()
        for title in HOSTILE[:3]:
            expect(page.locator("bdi.book", has_text=title)).to_be_visible()
        assert page.locator("main img, main script").count() == 0
        page.get_by_role("tab", name=re.compile("Not imported")).click()
        expect(page.locator(".group")).to_contain_text(HOSTILE[0])
        page.set_viewport_size({"width": 360, "height": HEIGHT})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


TRY: Final = """act => new Promise((resolve) => {
  addEventListener("securitypolicyviolation", ({ effectiveDirective }) => resolve(effectiveDirective));
  setTimeout(resolve, 10_000, "nothing was refused");
  try {
    if (act === "markup") document.body.innerHTML = "<b>bold</b>";
    if (act === "request") fetch("https://elsewhere.example/").catch(() => {});
    if (act === "image") document.body.append(Object.assign(new Image(), { src: "https://elsewhere.example/a.png" }));
  } catch {}
})"""


@pytest.mark.parametrize(
    ("act", "directive"),
    [("markup", "require-trusted-types-for"), ("request", "connect-src"), ("image", "img-src")],
)
def test_what_a_hostile_script_would_do_in_the_page_is_refused_by_the_browser(
    chromium: Browser, real: Live, act: str, directive: str
) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(real.url)
        assert page.evaluate(TRY, act) == directive


def test_no_other_website_can_show_the_page_in_a_frame(chromium: Browser, real: Live) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        with page.expect_console_message(lambda message: "frame-ancestors" in message.text, timeout=10_000):
            page.set_content(f"<iframe src='{real.url}'></iframe>", wait_until="commit")


def test_everything_is_done_with_the_keyboard_alone(chromium: Browser, real: Live) -> None:
    with opened(chromium, real.url) as page:
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Tab")
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
        chooser.value.set_files({"name": "library.csv", "mimeType": "text/csv", "buffer": LIST})
        expect(page.get_by_text("2 books were imported")).to_be_visible()
        imported = page.get_by_role("tab", name="Imported 2", exact=True)
        for _ in range(20):
            if imported.evaluate("at => at === document.activeElement"):
                break
            page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name="Not imported 3")).to_be_focused()
        expect(page.get_by_text("Something is missing")).to_be_visible()
        page.keyboard.press("ArrowLeft")
        expect(imported).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.type("emma")
        expect(page.get_by_role("status").filter(has_text="1 of 2 books")).to_be_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Goodreads CSV")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Goodreads CSV")).to_be_hidden()


def test_the_start_is_sound_at_every_width(chromium: Browser, real: Live) -> None:
    with opened(chromium, real.url) as page:
        expect(page.get_by_role("heading", name="Import your books")).to_be_visible()
        check(page)


def test_two_of_three_bad_rows_are_mended_and_leave_the_list(chromium: Browser, real: Live) -> None:
    with opened(chromium, real.url) as page:
        choose(
            page, b"Title,Author,Publisher\nDune,Frank Herbert,\n,Jane Austen,Murray\n,Leo Tolstoy,\n,Nobody,Orchard\n"
        )
        expect(page.get_by_text("1 book was imported; 3 rows were not imported.")).to_be_visible()
        page.get_by_role("button", name="See why, and what to do").click()
        expect(page.get_by_text("Neither a title nor an ISBN")).to_have_count(3)
        expect(page.get_by_text("Murray")).to_be_visible()
        page.get_by_label("Title").nth(0).fill("Emma")
        page.get_by_label("Title").nth(1).fill("War and Peace")
        page.get_by_label("Author").nth(2).fill("Somebody")
        page.get_by_label("Author").nth(2).fill("Nobody")
        expect(page.get_by_text("2 rows changed, and not sent yet")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_text("2 rows were imported.")).to_be_visible()
        expect(page.get_by_text("3 books were imported; 1 row was not imported.")).to_be_visible()
        expect(page.get_by_label("Title")).to_have_count(1)
        check(page)
        page.get_by_role("group").get_by_text("Download").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="CSV for a spreadsheet").click()
        saved = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
        assert [(row["index"], row["title"]) for row in saved] == [("0", "Dune"), ("1", "Emma"), ("2", "War and Peace")]
        page.get_by_role("tab", name="Imported 3", exact=True).click()
        expect(page.get_by_role("cell", name="War and Peace")).to_be_visible()
        page.reload()
        expect(page.get_by_text("3 books were imported; 1 row was not imported.")).to_be_visible()
        expect(page.get_by_role("cell", name="Emma")).to_be_visible()


def test_a_shelf_is_shown_at_once_and_read_with_an_outline_for_every_book(chromium: Browser, real: Live) -> None:
    with opened(chromium, real.url) as page:
        page.get_by_label("Choose photos").set_input_files(SHELF)
        expect(page.get_by_alt_text("The photo that is being read")).to_be_visible()
        expect(page.get_by_text("Reading the spines…")).to_be_visible()
        expect(page.get_by_text("books were read on your photo.")).to_be_visible(timeout=60_000)
        books = page.locator(".list li")
        assert books.count() == page.locator("svg .spine").count() > 5
        books.nth(1).hover()
        expect(page.locator("svg .spine").nth(1)).to_have_class("spine lit")
        check(page)
        page.get_by_role("button", name="Correct").nth(1).click()
        page.get_by_label("Title").fill("A corrected title")
        page.keyboard.press("Enter")
        expect(page.get_by_text("corrected by you")).to_be_visible()
        page.get_by_role("button", name="is no book").first.click()
        expect(page.get_by_text("not counted")).to_be_visible()
        page.reload()
        expect(page.get_by_text("A corrected title")).to_be_visible()
        expect(page.get_by_text("not counted")).to_be_visible()
        expect(page.get_by_text(f"{books.count() - 1} books on this photo")).to_be_visible()
        page.get_by_role("group").get_by_text("Download").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="CSV for a spreadsheet").click()
        saved = download.value.path().read_text(encoding="utf-8-sig")
        assert "A corrected title" in saved
        expect(page.locator(".plate img")).to_have_js_property("complete", value=True)
        assert page.locator(".plate img").evaluate("at => at.decode().then(() => at.naturalWidth)") > 500


def test_a_link_with_the_owners_token_opens_a_job_in_another_browser(chromium: Browser, real: Live) -> None:
    job = real.run(real.server.submit(LIST, "from-elsewhere.csv"))
    with opened(chromium, f"{real.url}/#/open/{job['jobId']}/{job['token']}") as page:
        expect(page.get_by_text("2 books were imported")).to_be_visible()
        expect(page.get_by_role("heading", name="from-elsewhere.csv")).to_be_visible()
        assert job["token"] not in page.url
        expect(page.get_by_role("cell", name="Dune")).to_be_visible()
        page.get_by_role("link", name="shelfwire").click()
        expect(page.get_by_role("link", name="from-elsewhere.csv")).to_be_visible()


def test_a_job_that_waits_says_how_many_are_before_it(chromium: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, gated=True, workers=1) as live, opened(chromium, live.url) as page:
        live.run(live.server.submit(LIST))
        live.run(live.server.submit(LIST))
        choose(page, LIST)
        expect(page.get_by_text("Waiting to start, with 1 job before it.")).to_be_visible()
        check(page)


def test_a_page_whose_server_stays_away_gives_up_and_connects_again_when_asked(
    chromium: Browser, tmp_path: Path
) -> None:
    port = free_port()
    with opened(chromium, "about:blank", refusals=True) as page:
        page.clock.install()
        with serving(tmp_path, gated=True, port=port) as live:
            page.goto(live.url)
            choose(page, LIST)
            live.step(420)
            page.clock.run_for(2_000)
            expect(page.get_by_text("42%")).to_be_visible()
        lost = page.get_by_role("alert").filter(has_text="The server has not answered for a minute.")
        for _ in range(300):
            page.clock.run_for(10_000)
            if lost.is_visible():
                break
        expect(lost).to_be_visible()
        expect(page.get_by_text("Connection lost")).to_be_visible()
        expect(page.get_by_text("42%")).to_be_visible()
        assert violations(page) == []
        with serving(tmp_path, gated=True, port=port) as live:
            live.step(None)
            page.get_by_role("button", name="Connect again").click()
            page.clock.run_for(2_000)
            expect(page.get_by_text("420 books were imported.")).to_be_visible()


def test_books_that_were_not_found_are_changed_where_they_stand_and_looked_up_again(
    chromium: Browser, real: Live, tmp_path: Path
) -> None:
    book = library(1)[0]
    services = Catalogues({OPEN_LIBRARY: [book], GOOGLE_BOOKS: [book]})
    wrong = {"title": "A Book Nobody Wrote", "author": book.author}
    playing = services.serving()
    real.run(playing.__aenter__())
    try:
        with serving(tmp_path, **services.settings) as live:
            route, sent = "/api/enrichment/batch", {"books": [wrong, {"title": book.title, "author": "Xerxes Quux"}]}
            job = live.run(live.server.http.post(route, json=sent)).json()["data"]
            with opened(chromium, f"{live.url}/#/open/{job['jobId']}/{job['token']}") as page:
                expect(page.get_by_text("0 books were found; 2 were not.")).to_be_visible()
                expect(page.get_by_role("tab", name="Not found 2")).to_have_attribute("aria-selected", "true")
                expect(page.get_by_label("Author").first).to_have_value(book.author)
                check(page)
                page.get_by_role("button", name="Try all again").click()
                expect(page.get_by_text("2 rows still are not")).to_be_visible()
                expect(page.get_by_label("Title").nth(1)).to_have_value(book.title)
                page.get_by_label("Author").nth(1).fill(book.author)
                page.get_by_role("button", name="Try again", exact=True).click()
                expect(page.get_by_text("1 book was found.")).to_be_visible()
                expect(page.get_by_label("Title")).to_have_count(1)
                page.get_by_role("tab", name="Found 1", exact=True).click()
                expect(page.get_by_role("cell", name=book.title)).to_be_visible()
    finally:
        real.run(playing.__aexit__(None, None, None))
