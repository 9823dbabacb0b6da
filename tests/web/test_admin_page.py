"""The operator's page in a real browser, in front of a real server with five hundred jobs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect

from shelfwire.web.keys import Role
from tests.web.browser import Live, browser, check, opened, serving, violations
from tests.web.operated_jobs import HOSTILE, Stepping, fill, more
from tests.web.test_operator import KEYS, key_file

ENDED: Final = 470
PAUSED: Final = 30


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("operated")
    keys = key_file(folder, *Role)
    with serving(folder, pipelines=[Stepping()], keys_file=keys, workers=1, stall_after=0.2) as server:
        server.run(fill(server.server, ENDED, PAUSED))
        yield server


@pytest.fixture
def page(chromium: Browser, live: Live) -> Iterator[Page]:
    with opened(chromium, f"{live.url}/admin") as found:
        enter(found, Role.ADMIN)
        yield found


@pytest.fixture
def refused_page(chromium: Browser, live: Live) -> Iterator[Page]:
    """One whose requests may be refused."""
    with opened(chromium, f"{live.url}/admin", refusals=True) as found:
        enter(found, Role.ADMIN)
        yield found


def enter(page: Page, role: Role) -> None:
    page.get_by_label("API key").fill(KEYS[role])
    page.get_by_role("button", name="Open").click()


def go(page: Page, live: Live, fragment: str) -> None:
    page.goto(f"{live.url}/admin#/{fragment}")


def rows(page: Page) -> Any:
    return page.locator(".list tbody tr")


def test_an_operator_finds_the_one_stuck_job_of_five_hundred_and_cancels_it(page: Page, live: Live) -> None:
    live.server.http.headers["X-API-Key"] = KEYS[Role.WORK]
    live.run(live.server.submit(name="stuck.csv"))
    expect(page.get_by_role("link", name=re.compile("1 job stalled"))).to_be_visible()
    go(page, live, "jobs")
    page.get_by_role("button", name="Stalled 1").click()
    expect(rows(page)).to_have_count(1)
    page.reload()
    expect(page.get_by_role("button", name="Stalled 1")).to_have_attribute("aria-pressed", "true")
    expect(rows(page)).to_contain_text("stuck.csv")
    page.get_by_role("button", name="Choose all that match").click()
    expect(page.locator(".bulk")).to_contain_text("1 chosen")
    check(page)
    go(page, live, "")
    page.get_by_role("link", name=re.compile("1 job stalled")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("stuck.csv")
    expect(page.locator(".job")).to_contain_text("recorded nothing for")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("group", name=re.compile("for good")).get_by_role("button", name="Cancel").click()
    expect(page.locator(".job .state")).to_have_text("Canceled")
    expect(page.locator(".timeline li.cancel")).to_contain_text("by the-admin")
    go(page, live, "")
    expect(page.get_by_role("heading", level=1)).to_have_text("All is well")


@pytest.mark.parametrize("fragment", ["", "jobs?code=E_INTERNAL&pipeline=ai_scan", "webhooks", "audit"])
def test_every_screen_can_be_used_by_everybody(page: Page, live: Live, fragment: str) -> None:
    go(page, live, fragment)
    expect(page.locator(".bones")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    check(page)


def test_the_page_of_a_job_can_be_used_by_everybody(page: Page, live: Live) -> None:
    go(page, live, "jobs?status=failed")
    rows(page).first.get_by_role("link").click()
    expect(page.locator(".bones")).to_have_count(0)
    check(page)


def test_the_form_and_the_dialog_can_be_used_by_everybody(chromium: Browser, live: Live) -> None:
    with opened(chromium, f"{live.url}/admin#/jobs?code=E_INTERNAL&pipeline=ai_scan") as page:
        expect(page.get_by_label("API key")).to_be_visible()
        check(page)
        enter(page, Role.ADMIN)
        rows(page).first.get_by_role("checkbox").check()
        page.locator(".bulk").get_by_role("button", name="Delete").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        check(page)


def test_a_row_goes_on_where_it_stands_and_newer_jobs_wait_until_they_are_asked_for(page: Page, live: Live) -> None:
    live.server.http.headers["X-API-Key"] = KEYS[Role.WORK]
    job = live.run(live.server.submit(name="live.csv"))
    go(page, live, "jobs?q=live.csv")
    expect(rows(page)).to_have_count(1)
    newer = live.run(live.server.submit(name="newer-live.csv"))
    expect(page.get_by_role("button", name="1 newer · Show")).to_be_visible()
    live.run(live.server.ask("POST", job, "/cancel"))
    expect(rows(page).locator(".state")).to_have_text("Canceled")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="1 newer · Show").click()
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("newer-live.csv")
    live.run(live.server.ask("DELETE", newer))
    expect(rows(page).first.locator(".state")).to_have_text("Erased")


def test_all_jobs_that_match_are_changed_only_while_they_are_as_many_as_was_said(
    refused_page: Page, live: Live
) -> None:
    page = refused_page
    go(page, live, "jobs?status=paused")
    expect(rows(page)).to_have_count(PAUSED)
    page.get_by_role("button", name="Choose all that match").click()
    page.locator(".bulk").get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Cancel: {PAUSED} jobs?")
    live.run(more(live.server, 2))
    dialog.get_by_role("button", name=f"Cancel {PAUSED}").click()
    expect(dialog).to_contain_text(f"changed from {PAUSED} to {PAUSED + 2}, and nothing was done")
    dialog.get_by_role("button", name=f"Cancel {PAUSED + 2}").click()
    expect(dialog.get_by_role("heading")).to_have_text(f"Canceled: {PAUSED + 2} jobs.")
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_text("No job matches")).to_be_visible()


def test_more_than_a_hundred_jobs_are_changed_only_if_their_number_is_typed(page: Page, live: Live) -> None:
    go(page, live, "jobs?status=complete&pipeline=batch_enrichment")
    page.get_by_role("button", name="Choose all that match").click()
    page.locator(".bulk").get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    act = dialog.get_by_role("button", name=re.compile(r"^Delete \d+"))
    number = re.sub(r"\D", "", act.inner_text())
    assert int(number) > 100
    expect(act).to_be_disabled()
    dialog.get_by_role("textbox").fill(f"{int(number) - 1}")
    expect(act).to_be_disabled()
    dialog.get_by_role("textbox").fill(number)
    act.click()
    expect(dialog.get_by_role("heading")).to_have_text(f"Deleted: {number} jobs.")


def test_of_chosen_rows_those_that_were_refused_stay_chosen(refused_page: Page, live: Live) -> None:
    page = refused_page
    go(page, live, "jobs?status=failed&pipeline=csv_import")
    rows(page).nth(0).get_by_role("checkbox").check()
    rows(page).nth(1).get_by_role("checkbox").check()
    expect(page.locator(".bulk")).to_contain_text("2 chosen")
    expect(page.locator(".bulk").get_by_role("button", name="Pause")).to_be_disabled()
    page.route("**/api/jobs/*/retry", lambda route: route.fulfill(**problem(409, "E_JOB_STATE")), times=1)
    page.locator(".bulk").get_by_role("button", name="Try again").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Try again 2").click()
    expect(dialog).to_contain_text("Started again: 1 job. Refused: 1 job")
    expect(dialog).to_contain_text("E_JOB_STATE")
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator(".bulk")).to_contain_text("1 chosen")


def problem(status: int, code: str) -> dict[str, Any]:
    body = {"type": "about:blank", "title": code, "status": status, "detail": "On purpose", "code": code}
    return {"status": status, "json": {**body, "userMessage": "On purpose", "retryable": False}}


def test_filters_survive_a_reload_and_lead_back_step_by_step(page: Page, live: Live) -> None:
    go(page, live, "jobs")
    page.get_by_role("button", name=re.compile("^Failed")).click()
    page.get_by_role("combobox", name="Pipeline").select_option("csv_import")
    page.get_by_label("Search jobs").fill("library-72.csv")
    expect(rows(page)).to_have_count(1)
    page.reload()
    expect(page.get_by_role("button", name=re.compile("^Failed"))).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("Search jobs")).to_have_value("library-72.csv")
    expect(page.get_by_role("combobox", name="Pipeline")).to_have_value("csv_import")
    expect(rows(page)).to_have_count(1)
    page.go_back()
    expect(page.get_by_label("Search jobs")).to_have_value("")
    expect(page.get_by_role("combobox", name="Pipeline")).to_have_value("csv_import")


def test_pages_of_jobs_follow_each_other(page: Page, live: Live) -> None:
    go(page, live, "jobs?status=complete")
    expect(rows(page)).to_have_count(100)
    first = rows(page).first.get_by_role("link").inner_text()
    page.get_by_role("button", name="Next page").click()
    expect(rows(page).first.get_by_role("link")).not_to_have_text(first)
    page.get_by_role("button", name="First page").click()
    expect(rows(page).first.get_by_role("link")).to_have_text(first)


def test_names_of_files_are_only_text(page: Page, live: Live) -> None:
    go(page, live, "jobs?q=onerror")
    expect(rows(page)).to_have_count(1)
    page.on("dialog", lambda _: pytest.fail("a script of a file's name ran"))
    expect(rows(page).get_by_role("link")).to_have_text(HOSTILE[0])
    rows(page).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE[0])
    assert page.locator("img").count() == 0


@pytest.mark.parametrize(
    ("role", "says"), [(Role.WORK, "This key is for other things"), (None, "The server knows no such key")]
)
def test_a_key_that_is_wrong_is_refused_with_the_reason(
    chromium: Browser, live: Live, role: Role | None, says: str
) -> None:
    with opened(chromium, f"{live.url}/admin", refusals=True) as page:
        page.get_by_label("API key").fill("sw_none" if role is None else KEYS[role])
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_role("alert")).to_contain_text(says)
        assert page.evaluate("sessionStorage.length") == 0


def test_a_key_that_only_reads_finds_the_buttons_off(chromium: Browser, live: Live) -> None:
    with opened(chromium, f"{live.url}/admin") as page:
        enter(page, Role.READ)
        page.get_by_role("link", name="Jobs", exact=True).click()
        expect(page.locator(".bulk")).to_contain_text("may look, not change")
        expect(rows(page).first.get_by_role("checkbox")).to_be_disabled()
        rows(page).first.get_by_role("link").click()
        expect(page.locator(".actions button").first).to_be_disabled()
        assert page.locator(".actions button:enabled").count() == 0


def test_a_code_opens_the_page_once_and_leaves_the_address(chromium: Browser, live: Live) -> None:
    headers = {"X-API-Key": KEYS[Role.READ]}
    made = live.run(live.server.http.post("/api/admin/session", headers=headers)).json()["data"]
    address = f"{live.url}/admin#/code/{made['code']}"
    with opened(chromium, address) as page:
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator(".who")).to_contain_text("the-admin_read")
        assert made["code"] not in page.url
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API key")).to_be_visible()
        assert page.evaluate("sessionStorage.length") == 0
    with opened(chromium, address, refusals=True) as page:
        expect(page.get_by_role("alert")).to_contain_text("has been used")


def test_a_query_that_failed_is_no_empty_list(refused_page: Page, live: Live) -> None:
    page = refused_page
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.route("**/api/jobs?*", lambda route: route.fulfill(**problem(503, "E_STORAGE_UNAVAILABLE")))
    go(page, live, "jobs?status=failed")
    expect(page.get_by_role("alert")).to_contain_text("E_STORAGE_UNAVAILABLE")
    assert page.get_by_text("No job").count() == 0
    page.unroute_all()
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    expect(rows(page).first).to_contain_text("Failed")


def test_figures_tell_their_age_once_the_stream_is_lost(refused_page: Page, live: Live) -> None:
    page = refused_page
    expect(page.locator(".who")).to_contain_text("Live")
    page.route("**/api/admin/events*", lambda route: route.abort())
    go(page, live, "jobs")
    expect(page.locator(".who")).to_contain_text(re.compile(r"Lost \d+ sec ago"))
    go(page, live, "")
    expect(page.locator(".old")).to_be_visible()
    assert violations(page) == []
    page.unroute_all()
    expect(page.locator(".who")).to_contain_text("Live")


def test_a_server_without_jobs_says_how_one_is_made(chromium: Browser, tmp_path: Path) -> None:
    keys = key_file(tmp_path, *Role)
    with serving(tmp_path, keys_file=keys) as live, opened(chromium, f"{live.url}/admin#/jobs") as page:
        enter(page, Role.ADMIN)
        expect(page.get_by_role("heading", name="No job yet")).to_be_visible()
        expect(page.get_by_text("shelfwire import library.csv")).to_be_visible()


def test_a_job_is_chosen_and_let_be_by_the_keyboard_alone(page: Page, live: Live) -> None:
    go(page, live, "jobs?status=failed&pipeline=batch_enrichment")
    rows(page).first.get_by_role("checkbox").focus()
    page.keyboard.press("Space")
    expect(page.locator(".bulk")).to_contain_text("1 chosen")
    button = page.locator(".bulk").get_by_role("button", name="Delete")
    while not button.evaluate("element => element === document.activeElement"):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Delete: 1 job?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    expect(page.locator(".bulk")).to_contain_text("1 chosen")
