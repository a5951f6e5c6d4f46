"""The page in a real browser, with a heart that beats before it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from edge_runtime.dashboard import Dashboard
from tests.edge_runtime.dashboard.fakes import FakePast, Heart, dashboard

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync"
TOKEN = "a-token-of-some-length"
BED = "/dev/serial/by-id/bed-1"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS.split())
        yield browser
        browser.close()


class Desk:
    """Pages of one test; what they complain about is kept."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._contexts: list[Any] = []
        self.complaints: list[str] = []

    def page(self, url: str, width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = self._browser.new_context(viewport={"width": width, "height": height}, **options)
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: self.complaints.append(message.text) if "policy" in message.text.lower() else None,
        )
        page.goto(url)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def desk(browser: Any) -> Iterator[Desk]:
    desk = Desk(browser)
    yield desk
    desk.close()
    assert desk.complaints == []


@pytest.fixture(scope="module")
def shown() -> Iterator[Dashboard]:
    shown = dashboard(FakePast(BED))
    yield shown
    shown.close()


@pytest.fixture(scope="module")
def heart(shown: Dashboard) -> Iterator[Heart]:
    heart = Heart(shown, (BED,))
    yield heart
    heart.close()


def number(page: Any, measure: str) -> Any:
    return page.locator(f".value.{measure} .number")


def narrow(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def becomes(page: Any, condition: str) -> None:
    """Asks from here until it is so: the page's own policy forbids the browser to evaluate strings again and again."""
    deadline = time.monotonic() + 60
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


# Columns of the canvas in which there is ink of the trace's colour, from left to right.
INK = """() => {
  const canvas = document.getElementById("trace"), {width, height} = canvas;
  const data = canvas.getContext("2d").getImageData(0, 0, width, height).data, found = [];
  for (let x = 0; x < width; x++) for (let y = 0; y < height; y++) {
    const at = 4 * (y * width + x);
    if (data[at] < 60 && data[at + 1] < 60 && data[at + 2] < 80) { found.push(x); break; }
  }
  return [width, found.length, found.join()];
}"""


def test_the_trace_is_there_at_once_and_moves(heart: Heart, shown: Dashboard, desk: Desk) -> None:
    page = desk.page(shown.url)
    becomes(page, "document.getElementById('trace').dataset.head > 11")
    width, inked, before = page.evaluate(INK)
    assert inked > 0.75 * width, "the last ten seconds are on the paper as soon as one looks"
    head = page.evaluate("Number(document.getElementById('trace').dataset.head)")
    becomes(page, f"document.getElementById('trace').dataset.head > {head + 1}")
    assert page.evaluate(INK)[2] != before
    assert page.locator("#lead").inner_text() == "Lead II"


def test_the_paper_is_true_to_scale(heart: Heart, shown: Dashboard, desk: Desk) -> None:
    page = desk.page(shown.url, color_scheme="light")
    becomes(page, "document.getElementById('trace').dataset.head > 0")
    mm = 96 / 25.4
    assert page.locator("#trace").bounding_box()["height"] == pytest.approx(50 * mm, abs=0.6)
    lines = page.evaluate("""() => {
      const canvas = document.getElementById("trace"), found = [];
      const row = canvas.getContext("2d").getImageData(0, 6, canvas.width, 1).data;
      for (let x = 60; x < canvas.width; x++) if (row[4 * x + 1] < 205 && row[4 * x] > 200) found.push(x);
      return found;
    }""")
    apart = [b - a for a, b in pairwise(lines)]
    assert len(lines) > 40 and sum(apart) / len(apart) == pytest.approx(5 * mm, abs=0.15), "a line every 5 mm"


def test_values_appear_with_their_ranges_and_vanish_without_electrodes(
    heart: Heart, shown: Dashboard, desk: Desk
) -> None:
    page = desk.page(shown.url)
    for measure, said, low in (
        ("hr_bpm", "75", "74.6"),
        ("pr_ms", "160", "148"),
        ("qrs_ms", "90", "78"),
        ("qt_ms", "380", "350"),
    ):
        number(page, measure).get_by_text(said).wait_for()
        assert low in page.locator(f".value.{measure} .range").inner_text()
    assert page.locator("#rhythm").inner_text() == "Normal rhythm"
    try:
        heart.state = "lead_off"
        page.locator("#veil strong", has_text="No electrodes").wait_for()
        becomes(page, "[...document.querySelectorAll('.value .number')].every((n) => n.hidden && !n.textContent)")
        assert page.locator(".value.hr_bpm .why").inner_text() == "No electrodes"
        assert not any(c.isdigit() for c in page.locator("#values").inner_text())
        becomes(page, "document.getElementById('said').textContent === 'No electrodes'")
        heart.state = "disconnected"
        page.locator("#veil strong", has_text="Unplugged").wait_for()
        heart.state = "warming_up"
        page.locator("#veil strong", has_text="Warming up").wait_for()
    finally:
        heart.state = "ok"
    number(page, "hr_bpm").get_by_text("75").wait_for()
    assert page.locator("#veil").is_hidden()


def test_it_comes_back_by_itself_and_shows_nothing_old_meanwhile(desk: Desk) -> None:
    first = dashboard()
    heart = Heart(first, (BED,))
    page = desk.page(first.url)
    number(page, "hr_bpm").get_by_text("75").wait_for()
    heart.close()
    first.close()
    page.locator("#veil strong", has_text="No connection").wait_for()
    becomes(page, "[...document.querySelectorAll('.value .number')].every((n) => n.hidden)")
    second = dashboard(port=first.port)
    heart = Heart(second, (BED,))
    try:
        number(page, "hr_bpm").get_by_text("75").wait_for()
        assert page.locator("#link").inner_text() == "Live"
    finally:
        heart.close()
        second.close()


def test_it_works_by_keyboard(heart: Heart, shown: Dashboard, desk: Desk) -> None:
    page = desk.page(shown.url)
    number(page, "hr_bpm").get_by_text("75").wait_for()
    order = []
    for _ in range(6):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is seen"
    assert order[0] == "Skip to the measurements" and order[2:4] == ["Live", "Day"]
    page.keyboard.press("d")
    page.locator("#sums dt").first.wait_for()
    page.locator("#scrub").focus()
    page.keyboard.press("ArrowLeft")
    assert "Heart rate 90 bpm" in page.locator("#at").inner_text()
    page.keyboard.press("l")
    page.locator("#trace").wait_for()
    page.keyboard.press("?")
    assert page.locator("#settings").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#settings").is_hidden()
    page.keyboard.press("g")
    page.locator("#scale", has_text="20 mm/mV").wait_for()


def test_it_fits_a_phone(heart: Heart, shown: Dashboard, desk: Desk) -> None:
    page = desk.page(shown.url, 360, 780, device_scale_factor=2)
    number(page, "hr_bpm").get_by_text("75").wait_for()
    becomes(page, "document.getElementById('trace').dataset.head > 11")
    assert narrow(page)
    assert page.locator("#trace").bounding_box()["height"] > 300, "ten seconds, true to scale, on several rows"
    page.goto(f"{shown.url}#/day/0/2026-11-20")
    page.locator("#sums dt").first.wait_for()
    assert narrow(page)
    page.keyboard.press("?")
    assert narrow(page)


def test_in_the_dark_and_by_choice(heart: Heart, shown: Dashboard, desk: Desk) -> None:
    def brightness(page: Any) -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour[4:-1].split(","))

    page = desk.page(shown.url, color_scheme="dark")
    assert brightness(page) < 100
    page.keyboard.press("t")
    assert brightness(page) > 600
    page.reload()
    assert brightness(page) > 600, "the choice is kept"
    page.keyboard.press("t")
    assert brightness(page) < 100


def test_who_prefers_no_motion_gets_none(heart: Heart, shown: Dashboard, desk: Desk) -> None:
    page = desk.page(shown.url, reduced_motion="reduce")
    number(page, "hr_bpm").get_by_text("75").wait_for()
    becomes(page, "document.getElementById('trace').dataset.head > 11")
    assert page.evaluate("getComputedStyle(document.querySelector('.track i')).transitionDuration") in ("0s", "")


def test_a_token_is_asked_for_once_and_does_not_stay_in_the_address(desk: Desk) -> None:
    guarded = dashboard(token=TOKEN)
    heart = Heart(guarded, (BED,))
    try:
        page = desk.page(guarded.url)
        page.locator("#token").fill("not-the-token-at-all")
        page.get_by_role("button").click()
        page.get_by_role("alert").wait_for()
        page.locator("#token").fill(TOKEN)
        page.get_by_role("button").click()
        number(page, "hr_bpm").get_by_text("75").wait_for()
        assert TOKEN not in page.url
        page.reload()
        number(page, "hr_bpm").get_by_text("75").wait_for()
        by_link = desk.page(f"{guarded.url}#token={TOKEN}")
        number(by_link, "hr_bpm").get_by_text("75").wait_for()
        assert TOKEN not in by_link.url and TOKEN not in by_link.evaluate("document.cookie")
        by_link.go_back()
        assert TOKEN not in by_link.url
    finally:
        heart.close()
        guarded.close()


def test_the_day_shows_trends_holes_and_the_stretch_of_an_episode(heart: Heart, shown: Dashboard, desk: Desk) -> None:
    page = desk.page(f"{shown.url}#/day/0/2026-11-20", timezone_id="UTC")
    page.locator("#sums dd", has_text="60 to 90 bpm").wait_for()
    assert "1 h 00 min without any" in page.locator("#sums").inner_text()
    label = page.locator("#chart-hr").get_attribute("aria-label")
    assert "1 stretch without reports" in label
    page.locator("#chart-hr").hover(position={"x": 900, "y": 60})
    page.locator("#at", has_text="Heart rate 90 bpm").wait_for()
    page.locator("#day-episodes button", has_text="Atrial fibrillation").click()
    page.locator("#stretch", has_text="08:45 to 09:45").wait_for()
    assert page.locator("#day-episodes button").first.get_attribute("aria-current") == "true"
    page.keyboard.press("Escape")
    page.locator("#whole").wait_for(state="hidden")
    page.keyboard.press("[")
    page.locator("#day-said", has_text="Nothing was reported on this day").wait_for()
    assert page.locator("#earlier").is_disabled()


def test_many_sources_are_a_ward_and_one_click_from_each(desk: Desk) -> None:
    many = dashboard()
    heart = Heart(many, tuple(f"/dev/serial/by-id/bed-{i}" for i in range(1, 7)))
    try:
        page = desk.page(many.url)
        page.locator(".tile .hr", has_text="75").nth(5).wait_for()
        becomes(page, "[...document.querySelectorAll('.tile canvas')].every((c) => c.dataset.head > 11)")
        assert page.locator(".tile .name").all_inner_texts() == [f"bed-{i}" for i in range(1, 7)]
        page.locator(".tile").nth(3).click()
        number(page, "qt_ms").get_by_text("380").wait_for()
        assert page.evaluate("document.getElementById('source').selectedOptions[0].text") == "bed-4"
        page.keyboard.press("2")
        becomes(page, "document.getElementById('source').value === '1'")
        number(page, "qt_ms").get_by_text("380").wait_for()
        page.keyboard.press("w")
        page.locator(".tile").first.wait_for()
        page.set_viewport_size({"width": 360, "height": 780})
        assert narrow(page)
        heart.state = "disconnected"
        page.locator(".tile .veil", has_text="Unplugged").nth(1).wait_for()
        becomes(page, "[...document.querySelectorAll('.tile .hr')].every((n) => !/\\\\d/.test(n.textContent))")
    finally:
        heart.close()
        many.close()


def test_the_notice_is_always_there(heart: Heart, shown: Dashboard, desk: Desk) -> None:
    page = desk.page(shown.url)
    for view in ("live", "day"):
        page.goto(f"{shown.url}#/{view}")
        assert page.locator(".notice").first.is_visible()
    assert page.locator(".notice").first.inner_text() == "Research use only; not a medical device."
