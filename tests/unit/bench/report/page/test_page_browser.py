"""The page in a real browser: it shows all of itself, at every width, and asks for nothing else."""

import shutil
import time

import numpy as np
import pytest

from fer_bench.record.record_file import parse_record
from fer_bench.report import figures, page

pytestmark = pytest.mark.slow  # a browser opens the page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
if CHROMIUM is None:
    pytest.skip("no Chromium is installed", allow_module_level=True)

# What is drawn in each figure that is shown, and how many of its texts reach beyond it.
FIGURES = """() => {
    const shown = [...document.querySelectorAll("figure svg")].filter(svg => svg.checkVisibility());
    return shown.map(svg => {
        const box = svg.getBoundingClientRect();
        const texts = [...svg.querySelectorAll("text")].map(text => text.getBoundingClientRect());
        return {
            width: box.width,
            height: box.height,
            paths: svg.querySelectorAll("path, rect, use").length,
            smallest: Math.min(...texts.map(text => text.height)),
            outside: texts.filter(text => text.left < box.left - 4 || text.right > box.right + 4).length,
        };
    });
}"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
COLOURS = """() => {
    const text = document.querySelector("figure svg text");
    return [getComputedStyle(document.body).backgroundColor, getComputedStyle(text).fill];
}"""


@pytest.fixture(scope="module")
def page_file(made_full_record, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    faces = np.random.default_rng(0).integers(0, 256, (9, 48, 48), np.uint8)
    path.write_text(page.render_page(parse_record(made_full_record), faces), "utf-8")
    return path


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        # A container has no sandbox of its own to offer; the page is ours.
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def opened(browser, page_file):
    """A function that opens the page and gives it with what it said and asked for."""
    contexts = []

    def opened(width, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        tab, said, asked = context.new_page(), [], []
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page_file.as_uri())
        return tab, said, asked

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_all_figures_are_readable(opened, page_file, width, scheme):
    tab, said, asked = opened(width, scheme)
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    shown = tab.evaluate(FIGURES)
    assert len(shown) == len(figures.PLOTS)
    for drawing in shown:
        assert drawing["width"] > 0.85 * min(width, 1024) - 40
        assert drawing["height"] > 100
        assert drawing["paths"] >= 5
        assert drawing["smallest"] >= 9
        assert drawing["outside"] == 0
    assert tab.evaluate(OVERFLOW) == 0
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page_file.as_uri()]


def test_dark_and_light_differ_and_reach_into_the_figures(opened):
    light, dark = (opened(1200, scheme)[0].evaluate(COLOURS) for scheme in ("light", "dark"))
    assert light[0] != dark[0]
    assert light[1] != dark[1]


def test_a_wide_table_scrolls_by_keyboard_in_its_own_box(opened):
    tab, _, _ = opened(400)
    box = tab.locator("#tables .scroll").first
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    box.focus()
    tab.keyboard.press("ArrowRight")
    deadline = time.monotonic() + 30
    while not box.evaluate("box => box.scrollLeft"):
        assert time.monotonic() < deadline, "the arrow key moved nothing"
        tab.wait_for_timeout(50)


def test_a_telephone_shows_the_ratio_beside_the_name(opened):
    tab, _, _ = opened(400)
    cells = tab.locator("table.ranked tr > :nth-child(2)").all()
    assert len(cells) == 8  # of two tables
    assert all(cell.evaluate("cell => cell.getBoundingClientRect().right") <= 400 for cell in cells)


def test_links_lead_to_sections_and_pictures_are_drawn(opened):
    tab, _, _ = opened(1200)
    for link in tab.locator("nav a").all():
        assert tab.locator(f"section{link.get_attribute('href')}").count() == 1
    sizes = tab.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert sizes == [48] * 9
