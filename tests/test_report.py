"""The page of ``--report``: what is on it, how it works, and that source is never more than text.

The tests of how it works drive a headless Chromium, and are skipped where there is none.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_review import MIXIN
from tool import FIXTURES, run

from backpop.cli.report.graph import Edge, drawings

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROOT = Path(__file__).parent.parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
needs_chromium = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")
EVIL = "<img src=x onerror=\"document.title='bad'\">"


def _page(tree: Path, *arguments: str) -> str:
    report = tree.parent / f"{tree.name}.html"
    done = run("to-back-populates", "--output", "/dev/null", "--report", str(report), *arguments, cwd=tree)
    assert done.returncode == 0, done.stderr
    return report.read_text("utf-8")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("report") / "shop"
    shutil.copytree(
        ROOT / "examples/bookshop", tree / "bookshop", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(FIXTURES / "refused-splat" / "before", tree / "refused")
    _page(tree, "--verify", "bookshop", "--no-verify-alone")
    return tree.with_suffix(".html")


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("report") / EVIL.replace("/", "")
    tree.mkdir()
    text = MIXIN.replace('"User", b', f'"User", doc={EVIL!r} "</script><script>alert(1)</script>\x1b", b')
    (tree / f"{EVIL}.py").write_text(text, "utf-8")
    (tree / "other.py").write_text(
        "from sqlalchemy.orm import relationship\n"
        f"class A(Base):\n    a = relationship('A', backref=f'{{x}}</pre>{EVIL[:5]}')\n",
        "utf-8",
    )
    report = tree.parent / "evil.html"
    report.write_text(_page(tree), "utf-8")
    return report


def test_page_holds_everything(shop: Path) -> None:
    page = shop.read_text("utf-8")
    text = re.sub(r"<[^>]+>", "", page.split("<body>")[1].split("<script>")[0])
    for expected in (
        "Author.books",
        "Book.author ↔ Author.books",
        "many-to-one",
        "order_by, cascade, from backref(...) to the reverse",
        "foreign_keys, which a backref inherits and the reverse therefore repeats",
        "BP103",
        "Proved. SQLAlchemy maps 13 relationships",
    ):
        assert expected in text
    assert page.count('class="card"') == 13


def test_page_fetches_nothing(shop: Path) -> None:
    page = shop.read_text("utf-8")
    assert not re.search(r"""(src|href)=["']?(?!#)|url\(|@import|https?:""", page.split("<body>")[0])
    assert not re.search(r"""\b(src|href)=["'](?!#)""", page)
    assert "default-src 'none'" in page


def test_page_is_the_same_each_time(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(FIXTURES / "across-modules" / "before", tree)
    assert _page(tree) == _page(tree)


def test_page_of_the_other_way_and_of_what_was_written(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(FIXTURES / "to-backref-options" / "before", tree)
    report = tmp_path / "page.html"
    arguments = ("to-backref", "--options", "--write", "--report", str(report))
    assert run(*arguments, cwd=tree).returncode == 0
    page = report.read_text("utf-8")
    assert "Pairs to backrefs" in page
    assert "from the reverse to backref(...)" in page
    assert "<b>1</b> converted" in page


def test_nothing_to_review(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    assert "There is nothing to convert." in _page(tree)


def test_report_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    done = run("to-back-populates", "--report", "no/where.html", cwd=tmp_path)
    assert done.returncode == 2
    assert "no/where.html cannot be written" in done.stderr


def test_source_and_file_names_are_text(evil: Path) -> None:
    page = evil.read_text("utf-8")
    assert "<img" not in page
    assert page.count("<script") == 1
    assert "&lt;img" in page
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", page)


def test_drawing_of_classes() -> None:
    user, order, line, alone = ((name, "models.py") for name in ("User", "Order", "Line", "Alone"))
    edges = [
        Edge(order, user, "Order.user", "pair-1"),
        Edge(order, line, "Order.lines", "pair-2"),
        Edge(user, order, "User.last", "pair-3"),
        Edge(alone, alone, "Alone.parent", "pair-4"),
        Edge(alone, ("User", "other.py"), "Alone.user", "pair-5"),
    ]
    first, second = drawings(edges)
    assert [(box.name, box.card) for box in first.boxes] == [
        ("Order", "pair-1"),
        ("Line", "pair-2"),
        ("User", "pair-1"),
    ]
    assert sorted(line.title for line in first.lines) == ["Order.lines", "Order.user\nUser.last"]
    assert [box.name for box in second.boxes] == ["Alone", "User"]
    for drawing in (first, second):
        for box in drawing.boxes:
            assert box.x >= 0
            assert box.x + box.width <= drawing.width
            assert 0 <= box.y <= drawing.height


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1200,900"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options, Service(DRIVER))
    yield chrome
    chrome.quit()


def _shown(chrome: Chrome) -> list[str]:
    script = "return [...document.querySelectorAll('.card:not([hidden]) h3')].map((one) => one.textContent)"
    titles: list[str] = chrome.execute_script(script)
    return titles


def _log(chrome: Any) -> list[Any]:
    """What the console says: errors, and what the page's policy refused."""
    return list(chrome.get_log("browser"))


def _keys(chrome: Chrome, *keys: str) -> Any:
    from selenium.webdriver import ActionChains

    ActionChains(chrome).send_keys(*keys).perform()
    return chrome.switch_to.active_element


@needs_chromium
def test_search_filter_and_keyboard(browser: Chrome, shop: Path) -> None:
    from selenium.webdriver.support.select import Select

    browser.get(shop.as_uri())
    assert _log(browser) == []
    assert len(_shown(browser)) == 13
    assert _keys(browser, "/").get_attribute("id") == "search"
    _keys(browser, "foreign_keys")
    assert _shown(browser) == ["Order.billing ↔ Address.billed"]
    _keys(browser, "\ue00c")  # Escape
    assert len(_shown(browser)) == 13
    assert _keys(browser, "j").get_attribute("id") == "pair-1"
    assert _keys(browser, "j", "j").get_attribute("id") == "pair-3"
    assert _keys(browser, "k", "x").get_attribute("id") == "pair-2"
    assert browser.find_element("id", "count").text == "13 of 13 shown, 1 reviewed"
    browser.find_element("id", "unseen").click()
    assert "Book.author ↔ Author.books" not in _shown(browser)
    browser.refresh()  # what was reviewed is remembered
    assert browser.find_element("id", "count").text == "13 of 13 shown, 1 reviewed"
    Select(browser.find_element("id", "direction")).select_by_visible_text("many-to-many")
    assert _shown(browser) == ["Book.subjects ↔ Subject.books"]
    browser.refresh()
    browser.execute_script("document.querySelector('[data-class=Profile]').dispatchEvent(new Event('click'))")
    assert _shown(browser) == ["Profile.customer ↔ Customer.profile"]
    search = browser.find_element("id", "search")
    search.clear()
    search.send_keys("bp103")
    assert _shown(browser) == []
    assert browser.find_element("css selector", ".group").is_displayed()


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(browser: Chrome, shop: Path, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get(shop.as_uri())
    contrast = """
        const light = (text) => {
            const [r, g, b] = text.match(/[\\d.]+/g).map((one) => one / 255)
                .map((one) => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const back = (node) => {
            const color = getComputedStyle(node).backgroundColor;
            return color === "rgba(0, 0, 0, 0)" && node.parentElement ? back(node.parentElement) : color;
        };
        const kinds = "h1, h3, dd, dt, figcaption span, .tag, .proof, .place, pre span, label";
        return [...document.querySelectorAll(kinds)].map((node) => {
            const both = [light(getComputedStyle(node).color), light(back(node))];
            const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
            return [ratio, node.className || node.tagName, node.textContent.slice(0, 30)];
        }).sort((a, b) => a[0] - b[0])[0];
    """
    lowest = browser.execute_script(contrast)
    assert lowest[0] >= 4.5, lowest  # WCAG 2, level AA
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", background))) < 64) is (scheme == "dark")


@needs_chromium
def test_no_script_of_the_source_runs(browser: Chrome, evil: Path) -> None:
    browser.get(evil.as_uri())
    assert browser.title != "bad"
    assert browser.find_elements("css selector", "img, script[src], iframe") == []
    assert _log(browser) == []
    assert len(_shown(browser)) == 1


@needs_chromium
def test_a_thousand_pairs(browser: Chrome, tmp_path: Path) -> None:
    from backpop.cli.report.page import page
    from backpop.codemods.review import reviews
    from backpop.codemods.run import to_back_populates

    (tmp_path / "models.py").write_text(MIXIN, "utf-8")
    outcome = to_back_populates([tmp_path])
    many = list(reviews(outcome)) * 1000
    report = tmp_path / "page.html"
    report.write_bytes(page("to-back-populates", outcome, many, None, written=False))
    browser.get(report.as_uri())
    assert browser.find_element("id", "count").text.startswith("1000 of 1000")
    _keys(browser, "/", "nowhere")
    assert browser.find_element("id", "none").is_displayed()
