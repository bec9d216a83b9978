"""The pages as people see and use them: in a real browser, which is the Chromium of this machine."""

from __future__ import annotations

import csv
import re
import struct
import time
from itertools import chain, groupby, pairwise

import pandas as pd
import pytest

from benchmarks import quantities
from benchmarks.__main__ import main
from benchmarks.analysis.study import Study
from benchmarks.report.pages import report as report_page
from benchmarks.validation import chromium, picture
from tests import pages, synthetic
from tests.pages import PAGES, QUOTED, WIDE
from tests.synthetic import HOSTILE

pytestmark = pytest.mark.skipif(chromium.missing() is not None, reason=str(chromium.missing()))

PHONE = {"width": 390, "height": 844}
LEAST_CONTRAST = 4.5
"""Of text, from WCAG 2, level AA."""
SAID = ("mode", "dtype", "device", "backend", "case")
"""What a view says of itself, wherever it could be another."""
MOST_LOAD_S = 20
UNITS = {"": 1, "×": 1, "%": 0.01, "ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1}
NUMBER = re.compile(rf"~?([+−]?)([\d,.]+) ?({'|'.join(UNITS)})")
OPEN_ALL = "document.querySelectorAll('details.fold').forEach((fold) => { fold.open = true; })"
NAMED_AT = {"report": ".eyebrow", "runs": "h1"}
NAMED = {"image", "table", "button", "link", "radio", "combobox", "searchbox", "region", "navigation", "heading"}


of_the_report = pytest.mark.parametrize("opened", ["report"], indirect=True)


@pytest.fixture(scope="module")
def browser():
    with chromium.launch() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module", params=PAGES)
def opened(request, browser, folder):
    page, wrong = pages.opened(browser, folder / f"{request.param}.html", PAGES[request.param]())
    yield page, wrong
    page.context.close()


@pytest.fixture
def page(opened):
    """Return a page at its top, with choices that earlier tests made; nothing may go wrong while it is used."""
    page, wrong = opened
    page.set_viewport_size(WIDE)
    page.emulate_media(media="screen", color_scheme="light")
    page.evaluate(OPEN_ALL)  # each test looks at all of a page
    page.evaluate("scrollTo(0, 0)")
    yield page
    assert not wrong


def values(facet):
    return facet.locator("input, option").evaluate_all("(all) => all.map((each) => each.value)")


def choose(facet, value):
    if facet.locator("select").count():
        facet.locator("select").select_option(value)
    else:
        facet.locator(f'label:has([value="{value}"])').click()


def test_what_goes_wrong_in_a_page_is_noticed(browser, folder):
    html = """<body><p style="color: #aaa">faint</p><img src="http://127.0.0.1/x.png">
        <script>alert(1); console.error("said"); throw new Error("thrown")</script>"""
    page, wrong = pages.opened(browser, folder / "wrong.html", html)
    found = " ".join(wrong)
    for each in ("request: http://127.0.0.1/x.png", "dialog: 1", "console: said", "error: thrown"):
        assert each in found
    assert len(page.evaluate("eyes.faint(4.5)")["faint"]) == 1
    page.context.close()


# Controls


def test_each_choice_shows_what_it_says_and_nothing_else_and_fits_a_phone(page):
    page.set_viewport_size(PHONE)
    chosen = 0
    for facet in page.locator(".choosers [data-facet]").all():
        name = facet.get_attribute("data-facet")
        for value in values(facet):
            choose(facet, value)
            seen = facet.evaluate("(facet) => eyes.choice(facet)")
            (shown,) = seen["shown"]
            assert seen["chosen"].items() <= shown["facets"].items()
            assert shown["facets"][name] == value
            assert value in shown["text"] or name not in SAID
            assert seen["width"] <= PHONE["width"]
            chosen += 1
    assert chosen > 2


@of_the_report
def test_arrows_choose_too(page):
    facet = page.locator("[data-chooser=map] [data-facet=mode]")
    choose(facet, "forward")
    facet.locator(":checked").press("ArrowRight")
    assert facet.locator(":checked").get_attribute("value") == "backward"
    assert "backward" in page.locator("[data-view=map]:visible").text_content()


@of_the_report
def test_details_open_and_close_by_click_and_by_key(page):
    for summary in page.locator("summary:visible").all()[:3]:
        content = summary.locator("xpath=following-sibling::*[1]")
        before = content.is_visible()
        summary.click()
        assert content.is_visible() != before
        summary.press("Enter")
        assert content.is_visible() == before


def test_links_lead_to_their_sections(page):
    for link in page.locator("nav a").all():
        link.click()
        heading = page.locator(link.get_attribute("href")).locator("h2")
        assert 0 <= heading.bounding_box()["y"] < WIDE["height"]


@pytest.mark.parametrize("opened", ["report", "trend"], indirect=True)
def test_the_filter_leaves_rows_with_every_word(page):
    rows = page.locator("#all tbody tr")
    n = rows.count()
    page.get_by_role("searchbox").fill("Sigmoid  TORCH")
    shown = [row for row in rows.all_text_contents() if "sigmoid" in row and "torch" in row]
    assert page.locator("#all tbody tr:visible").all_text_contents() == shown
    assert 0 < len(shown) < n
    assert page.locator("#matches").text_content() == f"{len(shown)} of {n} rows"
    page.get_by_role("searchbox").fill("")
    assert page.locator("#all tbody tr:visible").count() == n


@of_the_report
def test_a_tip_says_what_it_is_about_and_escape_closes_it(page):
    choose(page.locator("[data-chooser=map] [data-facet=mode]"), "forward")
    cell, tip = page.locator(".heat:visible tbody td[data-tip]").nth(1), page.locator("#tip")
    cell.hover()
    assert tip.text_content().startswith("numba: step, 1,024 elements")
    page.keyboard.press("Escape")
    assert tip.is_hidden()


# Tables


def column(table, index):
    return table.evaluate("(table, i) => [...table.tBodies[0].rows].map((row) => row.cells[i].textContent)", index)


def numbers(texts):
    """Return the numbers among `texts`; what is none, or an interval of two, is left out."""
    found = [match for text in texts if (match := NUMBER.fullmatch(text))]
    return [
        (-1 if sign == "−" else 1) * float(digits.replace(",", "")) * UNITS[unit]
        for sign, digits, unit in map(re.Match.groups, found)
    ]


def check_order(texts, *, numeric, ascending):
    filled = [text for text in texts if text]
    if numeric:
        values = numbers(filled)
        assert values == sorted(values, reverse=not ascending)
        return
    assert texts == filled + [""] * (len(texts) - len(filled)), "what is missing comes last"
    runs = [text for text, _ in groupby(filled)]
    assert len(runs) == len(set(runs))
    if all(text.isalpha() and text.islower() for text in runs):
        assert runs == sorted(runs, reverse=not ascending)


@pytest.mark.parametrize("use", ["click", "Enter", "Space"])
def test_headings_sort_up_and_down_and_say_so(page, use):
    table = page.locator("table.sortable:visible").last
    for heading in (table.locator("th:not(.n)").first, table.locator("th.n").first):
        numeric, index = heading.evaluate("(cell) => [cell.classList.contains('n'), cell.cellIndex]")
        for direction in ("ascending", "descending"):
            button = heading.locator("button")
            button.click() if use == "click" else button.press(use)
            assert heading.get_attribute("aria-sort") == direction
            assert table.locator("[aria-sort]:not([aria-sort=none])").count() == 1
            check_order(column(table, index), numeric=numeric, ascending=direction == "ascending")


SORT_EACH = """(table) => [...table.tHead.rows[0].cells].map((heading, i) => [0, 1].map(() => {
    heading.querySelector("button").click();
    return [...table.tBodies[0].rows].map((row) => row.cells[i].textContent);
}))"""


def test_every_column_of_every_table_sorts_numbers_by_their_value(page):
    n_numbers = 0
    for table in page.locator("table.sortable").all():
        numeric = table.locator("th").evaluate_all("(all) => all.map((cell) => cell.classList.contains('n'))")
        for is_numeric, (up, down) in zip(numeric, table.evaluate(SORT_EACH), strict=True):
            check_order(up, numeric=is_numeric, ascending=True)
            check_order(down, numeric=is_numeric, ascending=False)
            n_numbers += len(numbers(up)) * is_numeric
    assert n_numbers > 10


@of_the_report
def test_the_download_equals_the_table(page, folder):
    with page.expect_download() as started:
        page.get_by_role("link", name="Download CSV").click()
    assert started.value.suggested_filename.endswith(".csv")
    path = folder / "download.csv"
    started.value.save_as(path)
    table = page.locator("#all")
    headings = [text.strip() for text in table.locator("thead th").all_text_contents()]
    shown = pd.DataFrame({name: column(table, i) for i, name in enumerate(headings)})
    read = pd.read_csv(path, keep_default_na=False)
    assert len(read) == len(shown) == len(pages.varied().records)
    named = ["op", "mode", "backend", "device", "dtype", "allocation"]
    medians = [quantities.seconds(float(median)) if median else "" for median in read["median_s"]]
    expected = read[named].assign(elements=read["n_elements"].map(quantities.count), median=medians)
    plain = shown[[*named, "elements", "median"]].assign(median=shown["median"].str.lstrip("~").replace("–", ""))
    assert sorted(plain.itertuples(index=False)) == sorted(expected.itertuples(index=False))


@of_the_report
@pytest.mark.parametrize("selector", [".heat:visible", "#all"])
def test_a_table_downloads_as_it_shows(page, folder, selector):
    table = page.locator(selector)
    with page.expect_download() as started:
        table.locator(".csv").click()
    started.value.save_as(folder / "table.csv")
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        _, *read = csv.reader(file)
    shown = table.evaluate(
        "(table) => [...table.tBodies[0].rows].map((row) => [...row.cells].map((c) => c.innerText))"
    )
    assert len(read) == len(shown)
    for got, text in zip(chain(*read), chain(*shown), strict=True):
        if got != text.strip():
            rounded = 0.0051 if text.endswith("%") else 0
            assert [float(got)] == pytest.approx(numbers([text]) or [float(got)], rel=0.006, abs=rounded)


# Looks


def test_a_chart_that_was_hidden_fits_the_window_it_is_shown_in_again(page):
    facet = page.locator(":is([data-chooser=speed], [data-chooser=steady]) [data-facet]").first
    one, other = values(facet)[:2]
    chart = page.locator(":is([data-view=speed], [data-view=steady]):visible .chart").first
    for value in (one, other, one):  # what is chosen of the other facets gives way, and then stays
        choose(facet, value)
    for window in (WIDE, PHONE):
        choose(facet, other)
        page.set_viewport_size(window)
        choose(facet, one)
        chart.scroll_into_view_if_needed()
        chart.locator(".main-svg").first.wait_for()
        fits = "(chart) => chart.querySelector('svg').clientWidth === chart.clientWidth"
        page.wait_for_function(fits, arg=chart.element_handle())


SHOW_ALL = "document.querySelectorAll('[data-view]').forEach((view) => { view.hidden = false; })"
CHOOSE_AGAIN = """document.querySelectorAll('[data-facet]').forEach(
    (facet) => facet.dispatchEvent(new Event('change', { bubbles: true })))"""


@pytest.mark.parametrize(("media", "scheme"), [("screen", "light"), ("screen", "dark"), ("print", "dark")])
def test_text_stands_out_from_what_is_behind_it(page, media, scheme):
    page.emulate_media(media=media, color_scheme=scheme)
    page.evaluate(SHOW_ALL)
    charts = page.locator(".chart")
    charts.first.scroll_into_view_if_needed()  # a chart is drawn when it comes near the window
    charts.locator(".main-svg").first.wait_for()
    found = page.evaluate("(least) => eyes.faint(least)", LEAST_CONTRAST)
    page.evaluate(CHOOSE_AGAIN)
    assert found["seen"] > 50
    assert not found["faint"]


def test_print_has_no_controls_and_all_tables(page):
    tables = page.locator("table:visible").count()
    page.emulate_media(media="print")
    assert page.locator(":is(nav, .choosers *, .tools *, .csv, #tip):visible").count() == 0
    assert page.locator("table:visible").count() == tables > 0


def test_tab_reaches_everything_in_order_and_shows_where_it_is(page):
    stops = page.evaluate("eyes.stops()")
    page.locator("h1").click()
    for i, stop in enumerate(stops):
        page.keyboard.press("Tab")
        assert page.evaluate("eyes.focus()") == {"stop": i, "name": stop, "outlined": True, "inside": True}


def test_headings_descend_one_level_at_a_time(page):
    levels = [
        int(tag[1])
        for tag in page.locator("h1, h2, h3, h4, h5, h6").evaluate_all("all => all.map(e => e.tagName)")
    ]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_everything_has_a_name_for_those_who_do_not_see_it(page):
    assert all(page.locator("table").evaluate_all("all => all.map(e => e.caption?.textContent.trim())"))
    session = page.context.new_cdp_session(page)
    document = session.send("DOM.getDocument")["root"]["backendNodeId"]
    found = {}
    for role in NAMED:
        nodes = session.send("Accessibility.queryAXTree", {"backendNodeId": document, "role": role})["nodes"]
        found[role] = [node["name"]["value"] for node in nodes if not node["ignored"]]
    assert all(found[role] for role in ("image", "table", "button", "link"))
    assert not [role for role, names in found.items() if not all(names)]


def test_names_show_as_they_are(page):
    assert QUOTED in page.locator("body").inner_text()


@pytest.mark.parametrize("opened", NAMED_AT, indirect=True)  # alone: beside others, each page is opened again
def test_a_run_saved_as_a_script_is_named(page, request):
    place = NAMED_AT[request.node.callspec.params["opened"]]
    assert HOSTILE in page.locator(place).inner_text()


# The first screen, and how long the rest is


@pytest.fixture(scope="module")
def quick(browser, folder):
    page, wrong = pages.opened(browser, folder / "quick.html", report_page.render(Study(synthetic.quick_run())))
    yield page
    assert not wrong
    page.context.close()


@pytest.mark.parametrize("window", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_first_screen_has_title_verdict_picture_and_noise(quick, window):
    quick.set_viewport_size(window)
    quick.evaluate("scrollTo(0, 0)")
    for part in ("h1", ".lead", ".who-wins", "#answer .legend", ".noise"):
        box = quick.locator(part).bounding_box()
        assert box["y"] + box["height"] <= window["height"]
        assert box["x"] + box["width"] <= window["width"]
    assert "Repeat on an idle machine" in quick.locator(".noise").inner_text()
    assert quick.locator("details.fold[open]").count() == 0


SLIPPED = """(names) => names.filter((name) => {
    const [sign, own] = [name.previousElementSibling, name].map((each) => each.getBoundingClientRect());
    return own.left < sign.right || own.height > 1.5 * sign.height;
}).map((name) => name.textContent)"""


def test_a_name_stands_beside_its_sign_on_one_line(quick):
    quick.set_viewport_size(WIDE)
    names = quick.locator(".who-wins:visible td b")
    assert names.count() > 20
    assert names.evaluate_all(SLIPPED) == []


def test_a_link_opens_what_is_folded(quick):
    quick.set_viewport_size(WIDE)
    quick.locator("nav a[href='#how']").click()
    assert quick.locator("#how details").get_attribute("open") is not None
    quick.locator("#how summary").click()


def test_opened_the_page_takes_eight_screens_and_nothing_is_cut_off(quick):
    quick.set_viewport_size(WIDE)
    quick.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    height, width = quick.evaluate("[document.documentElement.scrollHeight, document.documentElement.scrollWidth]")
    assert height <= 8 * WIDE["height"]
    assert width <= WIDE["width"]
    wider = "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.ariaLabel)"
    assert quick.locator(".scroll:visible").evaluate_all(wider) == []
    quick.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = false; })")


# A large report


def test_a_page_of_thousands_of_records_loads(browser, folder, record_property):
    html = pages.of_a_large_run()
    assert len(html.encode()) < 8e6
    start = time.perf_counter()
    page, wrong = pages.opened(browser, folder / "large.html", html)
    load_s = time.perf_counter() - start
    record_property("load_s", load_s)
    print(f"{len(html) / 1e6:.1f} MB loaded in {load_s:.1f} s")
    assert page.locator("#all tbody tr").count() == 1000
    assert not wrong
    assert load_s < MOST_LOAD_S
    page.context.close()


# The README's picture


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_picture_is_as_wide_as_asked_for_and_small(browser, folder, width, dark):
    source = folder / "source.html"
    source.write_text(pages.of_a_run(), encoding="utf-8")
    png = picture.take(browser, source, folder / "new" / f"{width}.png", width=width, dark=dark).read_bytes()
    assert struct.unpack(">I", png[16:20]) == (width,)
    assert len(png) < 300_000


def test_a_page_without_the_map_has_no_picture(browser, folder):
    other = folder / "other.html"
    other.write_text("<p>nothing</p>", encoding="utf-8")
    with pytest.raises(ValueError, match=r"REPORT.html: must have a map of who wins where; '.*' has none"):
        picture.take(browser, other, folder / "other.png")
    assert not (folder / "other.png").exists()


def test_what_the_picture_lacks_is_said(folder, monkeypatch, capsys):
    page = folder / "some.html"
    page.write_text("", encoding="utf-8")
    monkeypatch.setattr(chromium, "NAMES", ("no-such-browser",))
    for path, message in (
        ("none.html", "must be a report that exists; got 'none.html'"),
        (page, "apt-get install"),
    ):
        assert main(["validate", "picture", str(path)]) == 2
        assert message in capsys.readouterr().err
