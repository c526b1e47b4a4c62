"""The live view without a kernel behind it: looks, keys, screen readers, hostile text and speed, at any size."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from flyte_nb.views.rich import report_form
from tests.browser.viewkit import ViewPage, longest_task_ms, view_page
from tests.fakes.hostile import HOSTILE

FAILED_RUN = {"over": True, "ended": 48_609, "total": 48_609, "failed": 27}
MILLION = {"total": 1_000_000, "ended": 400_000, "failed": 1_873, "groups": 3_000}
MOST_ROWS, MOST_TASK_MS = 60, 50.0
#: Elements that reach beyond the view's right edge.
BEYOND = """(view) => {
  const edge = view.getBoundingClientRect().right + 1;
  const shown = [...view.querySelectorAll("*")].filter((node) => node.offsetParent && !node.closest(".scroll"));
  return shown.filter((node) => node.getBoundingClientRect().right > edge).map((node) => node.className);
}"""
#: The last value of the row shown first stands under the title of the name given.
ALIGNED = """(name) => {
  const shown = (all) => [...all].filter((node) => node.offsetParent);
  const title = shown(document.querySelectorAll("[role=columnheader]")).find((node) => node.textContent.startsWith(name));
  const row = shown(document.querySelectorAll(".main.wide .row:not(.is-blank)"))[0];
  const right = (node) => node.getBoundingClientRect().right;
  return !!title && !!row && Math.abs(right(title) - right(row.querySelector(":scope > span:last-of-type"))) < 2;
}"""
#: Keeps what a screen reader would speak.
LISTEN = """() => {
  const status = document.querySelector("[role=status]");
  window.spoken = [];
  const heard = new MutationObserver(() => spoken.push(status.textContent));
  heard.observe(status, { childList: true, characterData: true, subtree: true });
}"""
#: The span of time that the newest question about the timeline is for, and whether the wheel has made all its turns.
SPAN = "() => { const last = kernel.requests.findLast((one) => one.kind === 'timeline'); return [last.start, last.end]; }"
NEAR = f"() => {{ const [start, end] = ({SPAN})(); return end > start && end - start < 60; }}"


@pytest.fixture
def opened(browser: Browser) -> Iterator[ViewPage]:
    """Yield a page; whatever the test did, the page has raised no error and asked nobody."""
    with view_page(browser) as page:
        yield page
        assert page.tab.errors == []
        assert page.tab.external_requests == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_shows_what_goes_on_in_both_themes(opened: ViewPage, dark: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Header, phases with glyph and word, groups, rows; then an action, and the end with failures."""
    look = "dark" if dark else "light"
    opened.open({}, dark=dark)
    opened.wait_rows()
    expect(opened.view.locator(".h1")).to_contain_text("rfe_sweep")
    expect(opened.view.get_by_role("progressbar")).to_have_attribute(
        "aria-valuetext",
        "33,623 of 50,000 actions ended, 27,995 succeeded, "
        "4,202 cached, 1,401 recovered, 19 failed, 6 timed out, 32 running, 16,345 queued",
    )
    expect(opened.view.get_by_role("button", name="Abort", exact=True)).to_be_enabled()
    opened.screenshot(f"view-running-{look}")
    opened.rows.nth(1).click()
    expect(opened.view.locator(".etitle")).to_have_text("ValueError: Input y contains NaN.")
    opened.screenshot(f"view-action-{look}")
    opened.page.keyboard.press("Escape")
    opened.kernel("kernel.finish()")
    expect(opened.view.locator(".h1 .ph")).to_have_text("Succeeded, but 25 actions failed")
    expect(opened.view.get_by_role("button", name="Re-run failed")).to_be_enabled()
    expect(opened.view.get_by_role("button", name="Abort", exact=True)).to_be_hidden()
    opened.screenshot(f"view-failed-{look}")


@pytest.mark.parametrize("width", [1600, 1080, 900, 700, 480, 270])
def test_it_fits_its_width(browser: Browser, width: int) -> None:
    """Nothing is cut off or scrolls sideways, and the causes of failure can be read in full or in their tip."""
    with view_page(browser, width=width + 32, height=1100) as page:
        page.open(FAILED_RUN)
        page.wait_rows()
        wide = page.view.evaluate(BEYOND)
        cut = page.view.locator(".digest .msg").evaluate_all(
            "(all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1 && !one.title).length"
        )
        page.screenshot(f"view-width-{width}")

        assert (wide, cut) == ([], 0)
        assert page.tab.errors == []


def test_high_contrast_keeps_shapes_and_marks(browser: Browser) -> None:
    """In forced colours the bar keeps its patterns, and what is pressed or selected has an outline."""
    with view_page(browser, forced="active") as page:
        page.open({})
        page.wait_rows()
        page.view.locator(".chip", has_text="failed").click()
        pressed = page.view.locator(".chip[aria-pressed=true]")
        expect(pressed).to_have_count(1)
        page.screenshot("view-high-contrast")

        assert pressed.evaluate("(chip) => getComputedStyle(chip).outlineStyle") == "solid"
        assert "gradient" in page.view.locator(".bar .s-cached").first.evaluate("(part) => getComputedStyle(part).backgroundImage")


def test_a_million_rows_are_scrolled_with_sixty_in_the_page(browser: Browser, opened: ViewPage) -> None:
    """To the very last one, by bar, wheel and keys, and without a long task while the run goes on."""
    opened.open(MILLION)
    opened.wait_rows()
    browser.start_tracing(page=opened.page, categories=["toplevel", "devtools.timeline", "__metadata"])
    for step in range(12):
        opened.kernel("kernel.step(5000)")
        opened.table.evaluate("(node, part) => { node.scrollTop = node.scrollHeight * part; }", step / 12)
        opened.page.wait_for_timeout(60)
        assert opened.rows.count() + opened.groups.count() <= MOST_ROWS
    opened.table.hover()
    for _ in range(3):
        opened.page.mouse.wheel(0, 500)
        opened.page.wait_for_timeout(30)
    longest = longest_task_ms(browser.stop_tracing())
    opened.table.focus()
    opened.page.keyboard.press("End")
    opened.wait_rows()
    expect(opened.view.locator(".row.is-active")).to_have_attribute("aria-rowindex", "1000000")
    opened.page.keyboard.press("Home")
    opened.wait_rows()

    expect(opened.view.locator(".row.is-active")).to_have_attribute("aria-rowindex", "1")
    assert longest < MOST_TASK_MS
    assert max(one["count"] for one in opened.requests("rows")) <= MOST_ROWS


def test_a_turn_of_the_wheel_is_a_few_rows_also_of_a_million(opened: ViewPage) -> None:
    """Where the scroll bar is a scale, a pixel of it is a dozen rows; the wheel must not follow that."""
    opened.open(MILLION)
    opened.wait_rows()
    opened.table.hover()
    opened.page.mouse.wheel(0, 260)

    expect(opened.view.locator(".foot")).to_contain_text("Rows 11–")


def test_everything_can_be_reached_with_the_keyboard(opened: ViewPage) -> None:
    """Rows, an action, search, failures only, groups; Escape closes what was opened last; no key aborts."""
    opened.open({})
    opened.wait_rows()
    keys = opened.page.keyboard
    opened.table.focus()
    keys.press("ArrowDown")
    keys.press("j")
    keys.press("Enter")
    expect(opened.view.locator(".detail .rid")).to_have_text("6c1m8wq2z2")
    keys.press("j")
    expect(opened.view.locator(".detail .rid")).to_have_text("6c1m8wq2z3")
    keys.press("Escape")
    expect(opened.view.locator(".detail")).to_be_hidden()
    keys.press("/")
    keys.type("nothing")
    expect(opened.view.locator(".empty").first).to_contain_text(
        "No action matches “nothing” in a name, an input, an output or an error; 50,000 actions searched."
    )
    keys.press("Escape")
    expect(opened.view.locator(".empty").first).to_be_hidden()
    opened.table.focus()
    keys.press("f")
    expect(opened.view.locator(".tok")).to_have_text("failed or timed out")
    keys.press("f")
    opened.view.locator(".groups .scroll").focus()
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    keys.press("ArrowRight")
    expect(opened.groups).to_have_count(11)
    keys.press("Enter")
    expect(opened.view.locator(".tok")).to_have_text("iteration-0")
    keys.press("?")
    expect(opened.view.locator(".keylist")).to_be_visible()
    assert opened.requests("abort") == []


def test_what_failed_stands_by_its_causes(opened: ViewPage) -> None:
    """In a run that is over: headings say how many; they are no actions, and stay in place beside the action that is read."""
    opened.open(FAILED_RUN)
    opened.wait_rows()
    opened.view.locator(".chip", has_text="failed").click()
    expect(opened.view.locator(".foot")).to_contain_text("27 of 48,609, by cause")
    headings = opened.view.locator(".row.cause")
    expect(headings.first).to_have_text("ValueError: Input y contains NaN.12")
    headings.first.click()
    expect(opened.view.locator(".detail")).to_be_hidden()
    opened.rows.nth(1).click()
    expect(opened.view.locator(".etitle")).to_be_visible()
    expect(opened.view.locator(".thead").first).to_have_text(re.compile("trees.*depth.*lr.*fold.*Time"))
    expect(headings.first).to_have_text("ValueError: Input y contains NaN.12")
    opened.screenshot("view-causes")
    opened.page.keyboard.press("Escape")
    opened.view.locator(".main:not([hidden]) .th", has_text="Time").click()
    expect(headings).to_have_count(0)


def test_filters_combine_and_are_taken_away_one_by_one(opened: ViewPage) -> None:
    """Phases, a group and a search; each is a token; the kernel is asked for all of them."""
    opened.open({})
    opened.wait_rows()
    opened.view.locator(".chip", has_text="failed").click()
    opened.groups.nth(2).click()
    opened.view.get_by_role("searchbox").fill("nan")
    expect(opened.view.locator(".tok")).to_have_count(3)
    opened.page.wait_for_function("() => kernel.requests.at(-1).query?.search === 'nan'")
    asked = opened.requests("rows")[-1]["query"]
    assert (asked["looks"], asked["node"], asked["search"]) == (["failed"], "g1", "nan")
    opened.view.get_by_role("button", name="Remove the filter iteration-1").click()
    expect(opened.view.locator(".tok")).to_have_count(2)
    opened.view.get_by_role("button", name="Clear all").click()
    expect(opened.view.locator(".tok")).to_have_count(0)


def test_a_column_is_sorted_down_up_and_not_at_all(opened: ViewPage) -> None:
    """Three clicks; `aria-sort` says which."""
    opened.open({})
    opened.wait_rows()
    seen = []
    for direction in ("descending", "ascending", "none"):
        opened.view.locator(".thead").get_by_role("button", name="Time").click()
        expect(opened.view.get_by_role("columnheader", name="Time")).to_have_attribute("aria-sort", direction)
        opened.page.wait_for_timeout(120)
        seen.append(opened.requests("rows")[-1]["query"].get("sort"))

    assert seen == [[{"by": "time", "down": True}], [{"by": "time", "down": False}], []]


def test_columns_can_be_chosen(opened: ViewPage) -> None:
    """What is ticked is asked for; what has no room is said so; the default comes back."""
    opened.open({})
    opened.wait_rows()
    opened.view.get_by_role("button", name="Columns").click()
    opened.view.locator(".menu").get_by_label("Worker").check()
    expect(opened.view.locator(".menu")).to_be_visible()
    opened.page.wait_for_function("() => kernel.requests.at(-1).columns?.includes('worker')")
    opened.view.get_by_role("button", name="Default columns").click()
    expect(opened.view.locator(".menu")).to_be_hidden()
    opened.page.wait_for_function("() => kernel.requests.at(-1).columns?.length === 0")


def test_rows_do_not_move_under_the_pointer(opened: ViewPage) -> None:
    """The order is held, and the foot says how much is newer and lets go."""
    opened.open({})
    opened.wait_rows()
    opened.table.hover()
    opened.page.wait_for_function("() => kernel.requests.at(-1).query?.hold === true")
    expect(opened.view.get_by_role("button", name="order held, 214 newer")).to_be_visible()
    opened.page.mouse.move(5, 5)
    expect(opened.view.get_by_role("button", name="order held")).to_be_hidden()


def test_a_hidden_view_asks_for_nothing(opened: ViewPage) -> None:
    """Folded or off screen: the kernel is told to stop; seen again, it is asked for all of it."""
    opened.open({"over": True, "ended": 12_000, "total": 12_000, "failed": 0})
    opened.wait_rows()
    opened.view.get_by_role("button", name="Fold this view").click()
    expect(opened.view.locator(".sum")).to_contain_text("Succeeded · 12,000 actions in 22m 18s")
    opened.screenshot("view-folded")
    assert opened.requests("stop")[-1]["what"] == ""
    before = len(opened.requests("rows"))
    opened.view.get_by_role("button", name="Open").click()
    opened.wait_rows()
    assert len(opened.requests("rows")) > before
    stops = len(opened.requests("stop"))
    opened.page.evaluate("() => { document.getElementById('root').style.marginTop = '3000px'; }")
    opened.page.wait_for_function("(stops) => kernel.requests.filter((one) => one.kind === 'stop').length > stops", arg=stops)


def test_a_kernel_that_does_not_listen_is_told_from_one_that_is_gone(opened: ViewPage) -> None:
    """Abort says that it waits; a view that hears nothing offers no buttons and says when it last did."""
    opened.open({})
    opened.wait_rows()
    opened.kernel("kernel.busy = true")
    opened.view.get_by_role("button", name="Abort", exact=True).click()
    expect(opened.view.locator(".danger").first).to_have_text("Abort sent, waits for the cell")
    expect(opened.view.locator(".danger").first).to_be_disabled()
    expect(opened.view.locator(".foot")).to_contain_text("last seen", timeout=9_000)
    expect(opened.view.locator(".danger").first).to_be_hidden()
    expect(opened.view.locator(".h1 .ph")).to_have_text("Last seen running")
    expect(opened.view.locator(".note")).to_contain_text('flyte.rerun("r7k2m9xq4", recover=True)')
    opened.screenshot("view-gone")
    opened.kernel("kernel.step(10)")
    expect(opened.view.locator(".danger").first).to_be_visible()
    expect(opened.view.locator(".h1 .ph")).to_have_text("Running")


def test_a_start_tells_its_steps(opened: ViewPage) -> None:
    """Each with its glyph and words, and they are gone when it is done."""
    opened.open({"ended": 0, "failed": 0, "total": 5_401})
    steps = """kernel.steps = [
      { look: "succeeded", title: "Scheduler", text: "ready" }, { look: "running", title: "Workers", text: "3 of 8 ready" },
      { look: "queued", title: "First action", text: "starts on the first free slot; 5,401 are queued" }]; kernel.step(0)"""
    opened.kernel(steps)
    expect(opened.view.locator(".steps")).to_have_text(re.compile("Scheduler.*ready.*Workers.*3 of 8 ready.*First action"))
    opened.screenshot("view-starting")
    opened.kernel("kernel.steps = []; kernel.step(0)")
    expect(opened.view.locator(".steps")).to_be_hidden()


def test_screen_readers_are_told_names_counts_and_the_end_not_every_tick(opened: ViewPage) -> None:
    """Regions, grids with their size, words beside hidden glyphs, one polite status."""
    opened.open({"total": 40, "ended": 0, "failed": 0})
    opened.wait_rows()
    status = opened.view.get_by_role("status")
    opened.page.evaluate(LISTEN)
    for _ in range(20):
        opened.kernel("kernel.step(2)")
    opened.kernel("kernel.finish()")
    expect(status).to_have_text("Run rfe_sweep: Succeeded, 40 of 40 actions ended, 0 failed")
    assert len(opened.page.evaluate("() => spoken")) <= 2
    expect(opened.page.get_by_role("region", name="Run rfe_sweep r7k2m9xq4")).to_be_visible()
    expect(opened.page.get_by_role("grid", name="Actions")).to_have_attribute("aria-rowcount", "40")
    expect(opened.page.get_by_role("treegrid", name="Groups")).to_be_visible()
    assert opened.view.locator("svg:not([aria-hidden=true])").count() == 0
    assert (
        opened.view.locator("button:visible").evaluate_all("(all) => all.filter((one) => !one.textContent.trim() && !one.ariaLabel).length")
        == 0
    )


def test_results_scroll_both_ways_without_a_long_task(browser: Browser, opened: ViewPage) -> None:
    """Thirty columns of a million rows, with a histogram each; titles stay above their columns; the other tab is as it was."""
    opened.open(MILLION)
    opened.wait_rows()
    opened.view.get_by_role("tab", name="Results").click()
    results = opened.view.get_by_role("grid", name="Results")
    expect(opened.view.locator(".thead:visible svg.hist")).to_have_count(29)
    expect(opened.view.locator(".thead:visible .hist").nth(1)).to_have_text("3 different")
    opened.screenshot("view-results")
    browser.start_tracing(page=opened.page, categories=["toplevel", "devtools.timeline", "__metadata"])
    for step in range(10):
        opened.kernel("kernel.step(5000)")
        results.evaluate("(node, part) => { node.scrollTop = node.scrollHeight * part; node.scrollLeft = 2000 * part; }", step / 10)
        opened.page.wait_for_timeout(60)
    longest = longest_task_ms(browser.stop_tracing())
    last = opened.view.get_by_role("columnheader", name="metric_29")
    results.evaluate("(node) => { node.scrollLeft = 1e6; }")
    expect(last).to_be_in_viewport()
    cell = opened.view.locator(".main.wide .row:not(.is-blank)").first.locator("> span").last
    opened.view.get_by_role("tab", name="Actions").click()
    expect(opened.rows.first).to_be_visible()
    assert "spread" in {one["what"] for one in opened.requests("stop")}
    opened.view.get_by_role("tab", name="Results").click()
    expect(cell).to_be_visible()

    # Titles are drawn anew when histograms come, so both places are read in one turn of the page.
    opened.page.wait_for_function(ALIGNED, arg="metric_29")
    assert longest < MOST_TASK_MS


def test_the_best_row_is_starred_and_marked_when_somebody_says_what_is_best(opened: ViewPage) -> None:
    """Nothing is best unasked; a choice, or a sort by an output, has a star, a line in words, and its place in each histogram."""
    opened.open(MILLION)
    opened.wait_rows()
    expect(opened.view.get_by_label("What is best")).to_be_hidden()
    opened.view.get_by_role("tab", name="Results").click()
    choice = opened.view.get_by_label("What is best")
    expect(choice).to_be_visible()
    expect(opened.view.locator(".row.best")).to_have_count(0)
    choice.select_option("Best: lowest metric_16")
    expect(opened.view.locator(".row.best")).to_have_count(1)
    expect(opened.view.locator(".row.best > span").first).to_have_text(re.compile("^★ "))
    expect(opened.view.locator(".foot")).to_contain_text("★ best metric_16 ")
    opened.page.wait_for_function("() => kernel.requests.findLast((one) => one.kind === 'spread').marked > 0")
    opened.screenshot("view-results-best")
    choice.select_option("Best: top of a sort")
    expect(opened.view.locator(".row.best")).to_have_count(0)
    opened.view.get_by_role("columnheader", name="metric_17").get_by_role("button").click()
    expect(opened.view.locator(".foot")).to_contain_text("★ best metric_17 ")
    asked = [one for one in opened.requests("rows") if one["view"].endswith("*")]

    assert [(one["query"]["sort"], one["count"]) for one in asked] == [
        ([{"by": "out:metric_16", "down": False}], 1),
        ([{"by": "out:metric_17", "down": True}], 1),
    ]


def test_the_timeline_draws_zooms_and_leads_to_an_action(browser: Browser, opened: ViewPage) -> None:
    """From how busy the workers were to single bars, by mouse and by keys; what failed stays visible; a click opens it."""
    opened.open(MILLION)
    opened.wait_rows()
    browser.start_tracing(page=opened.page, categories=["toplevel", "devtools.timeline", "__metadata"])
    opened.view.get_by_role("tab", name="Timeline").click()
    lanes = opened.view.get_by_role("img", name="Timeline: 1,000,000 actions on 8 workers in 22m 18s")
    expect(lanes).to_be_visible()
    opened.screenshot("view-timeline")
    over = opened.view.locator(".tlover").bounding_box()
    assert over is not None
    opened.page.mouse.move(over["x"] + 300, over["y"] + 10)
    opened.page.mouse.down()
    opened.page.mouse.move(over["x"] + 340, over["y"] + 10, steps=4)
    opened.page.mouse.up()
    near = opened.view.get_by_role("img", name="Timeline: 1,000,000 actions on 8 workers in")
    expect(near).not_to_have_accessible_name("Timeline: 1,000,000 actions on 8 workers in 22m 18s")
    longest = longest_task_ms(browser.stop_tracing())
    opened.screenshot("view-timeline-near")
    near.focus()
    opened.page.keyboard.press("ArrowRight")
    opened.page.keyboard.press("+")
    opened.page.wait_for_function(
        "() => new Set(kernel.requests.filter((one) => one.kind === 'timeline').map((one) => one.start)).size >= 4"
    )
    box = near.bounding_box()
    assert box is not None
    opened.page.mouse.move(box["x"] + 5, box["y"] + 22)
    expect(opened.view.locator(".tip")).to_contain_text("row 1")
    opened.page.mouse.click(box["x"] + 5, box["y"] + 22)
    expect(opened.view.locator(".detail .rid")).to_have_text("6c1m8wq2z1")
    opened.screenshot("view-timeline-action")

    assert longest < MOST_TASK_MS


def test_the_timeline_tells_why_zooms_with_the_wheel_and_follows_the_hand(opened: ViewPage) -> None:
    """A failed try says why; Ctrl and the wheel zoom at the pointer, a drag moves the span; bars are told apart by task or by phase."""
    opened.open(MILLION)
    opened.wait_rows()
    opened.view.get_by_role("tab", name="Timeline").click()
    lanes = opened.view.get_by_role("img", name="Timeline: ")
    expect(lanes).to_have_accessible_name("Timeline: 1,000,000 actions on 8 workers in 22m 18s")
    box = lanes.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2
    opened.page.mouse.move(middle, box["y"] + 24)
    opened.page.keyboard.down("Control")
    for _ in range(14):
        opened.page.mouse.wheel(0, -100)
    opened.page.keyboard.up("Control")
    opened.page.wait_for_function(NEAR)
    before = opened.page.evaluate(SPAN)
    opened.page.mouse.down()
    opened.page.mouse.move(middle + 200, box["y"] + 24, steps=5)
    opened.page.mouse.up()
    opened.page.wait_for_function(f"([start]) => ({SPAN})()[0] < start", arg=before)
    after = opened.page.evaluate(SPAN)
    expect(opened.view.locator(".detail")).to_be_hidden()
    opened.page.mouse.move(box["x"] + (3.4 / 80) * box["width"], box["y"] + 31)
    expect(opened.view.locator(".tip")).to_contain_text("fetch failed, try 3, row 4")
    expect(opened.view.locator(".tip .why")).to_have_text("ValueError: Input y contains NaN.")
    opened.screenshot("view-timeline-why")
    opened.view.get_by_role("button", name="phase", exact=True).click()
    expect(opened.view.locator(".tllegend")).to_contain_text("aborted or lost")
    opened.screenshot("view-timeline-phases")

    assert after[1] - after[0] == pytest.approx(before[1] - before[0], rel=1e-3)


def test_numbers_of_groups_have_room(opened: ViewPage) -> None:
    """Six digits of ended and failed actions stay in their columns, at any width that shows them."""
    opened.open({"total": 900_000, "ended": 899_999, "failed": 300_000, "groups": 1})
    opened.wait_rows()
    for width in (1280, 1110, 1010, 870, 700, 480):
        opened.page.set_viewport_size({"width": width, "height": 900})
        if width == 480:
            opened.view.locator(".gfold").click()
        expect(opened.groups.nth(1)).to_be_visible()
        numbers = opened.view.locator(".grow .num")
        cut = numbers.evaluate_all("(all) => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.innerText)")
        assert cut == [], width


def test_rich_output_is_shown_without_rights(opened: ViewPage) -> None:
    """A page in a frame: no script of it runs, it asks nobody, and it cannot reach this page."""
    script = "parent.hit = 1; alert(1)"
    hostile = f"<h1>Report</h1><script>{script}</script><img src=/x onerror='{script}'><form action=/x><button>b</button></form>"
    opened.page.add_init_script("window.hit = 0;")
    opened.open({"page": report_form({"page": hostile})["text"]})
    opened.wait_rows()
    opened.kernel("kernel.failed = 0")
    opened.rows.nth(5).click()
    frame = opened.view.locator("iframe.rich")
    expect(frame).to_have_attribute("sandbox", "")
    expect(opened.page.frame_locator("iframe.rich").locator("h1")).to_have_text("Report")
    opened.screenshot("view-rich")

    assert opened.page.evaluate("() => window.hit") == 0
    opened.tab.console[:] = [
        line for line in opened.tab.console if not re.search("sandbox|Content Security Policy", line[1])
    ]  # the browser tells what it refused


def test_no_text_of_a_user_becomes_markup(opened: ViewPage) -> None:
    """In every field of every message: nothing is executed, nothing is loaded, no element comes to be."""
    opened.page.add_init_script("window.hit = 0; window.alert = () => { window.hit += 1; };")
    for text in HOSTILE:
        safe = text.replace("\ud800", "")
        opened.open({"hostile": safe, "over": True, "ended": 60, "total": 60, "failed": 20, "name": safe})
        opened.wait_rows()
        opened.groups.nth(1).click()
        opened.rows.nth(1).click()
        expect(opened.view.locator(".db h5").first).to_be_visible()
        opened.view.get_by_role("button", name="Columns").click()
        found = opened.view.locator("script, img, iframe, a, style, math, object, embed, [onload], [onerror], [onmouseover]").count()
        assert (found, opened.page.evaluate("() => window.hit")) == (0, 0), text
        assert opened.page.title() == ""
