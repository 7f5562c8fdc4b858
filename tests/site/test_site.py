"""The site is built strictly, and looked at in a real browser, page by page."""

import functools
import http.server
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sphinx", reason='pip install -e ".[docs]"')
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
WIDTHS = (390, 1280)
# Of every picture: where it is from, its text, and its size as it is drawn, unless
# this window is for another form of it.
PICTURES = """
[...document.querySelectorAll("article img, header img")]
    .filter(each => getComputedStyle(each).display != "none")
    .map(each => [each.src, each.alt, each.naturalWidth, each.clientWidth,
                  each.clientHeight])
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site; its tutorials are not run."""
    built = tmp_path_factory.mktemp("site")
    options = ["-W", "--keep-going", "-q", "-D", "nb_execution_mode=off", "-d"]
    command = [sys.executable, "-m", "sphinx", *options, built / "trees"]
    done = subprocess.run(
        [*command, "-b", "html", "docs", built / "html"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return built / "html"


@pytest.fixture(scope="module")
def address(site):
    serve = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def links(page, address):
    """Pages that the navigation and the text of a page lead to."""
    found = page.evaluate(
        '[...document.querySelectorAll("nav a.nav-link, nav a.reference.internal,'
        ' article a.reference.internal, article a.sd-stretched-link")]'
        '.map(each => each.href.split("#")[0])'
    )
    return {
        url.removeprefix(address)
        for url in found
        if url.startswith(address) and url.endswith(".html")
    }


def problems(page, address):
    """What is wrong with a page, on a desk and on a phone."""
    yield from page.complaints
    for url in page.requests:
        if not url.startswith((address, "data:")):
            yield f"asks for {url}"
    for width in WIDTHS:
        page.resize(width)
        if page.overflow > 0:
            yield f"is {page.overflow} pixels wider than {width}"
        for source, alt, *sizes in page.evaluate(PICTURES):
            if min(sizes) == 0:
                yield f"a picture has no size at {width}: {source}"
            # A logo stands beside the name that it would repeat.
            if not alt and "_static" not in source:
                yield f"a picture has no text: {source}"


def test_every_page_is_fine_on_a_desk_and_on_a_phone(browser, site, address):
    wrong, seen, waiting = [], set(), {"index.html"}
    while waiting:
        path = waiting.pop()
        seen.add(path)
        page = browser.open(address + path)
        waiting |= links(page, address) - seen
        wrong += [f"{path}: {problem}" for problem in problems(page, address)]
        page.close()
    assert not wrong, "\n".join(wrong)
    files = (str(path.relative_to(site)) for path in site.rglob("*.html"))
    written = {path for path in files if not path.startswith("_static/")}
    assert seen == written - {"search.html", "genindex.html", "py-modindex.html"}
    assert len(seen) > 30


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", ["index", "api/jobs"])
def test_what_is_seen_of_a_page(browser, address, tmp_path, path, width):
    """Screenshots, which pytest keeps for a while for whoever wants to look."""
    page = browser.open(f"{address}{path}.html", width=width)
    seen = tmp_path / "seen.png"
    page.screenshot(seen, whole=False)
    page.close()
    pixels = np.asarray(Image.open(seen).convert("L"), int)
    assert pixels.shape == (900, width)
    # Text and pictures all over it: no half of the window is of one colour.
    for half in (*np.array_split(pixels, 2), *np.array_split(pixels, 2, axis=1)):
        paper = np.bincount(half.ravel()).max() / half.size
        assert 0.3 < paper < 0.98


def test_search_finds_grow(browser, address):
    page = browser.open(address + "search.html?q=grow")
    page.wait_for('document.querySelectorAll("#search-results li a").length > 3')
    page.wait_for(
        '[...document.querySelectorAll("#search-results li a")]'
        '.some(each => each.href.includes("tf_splitting.grow"))'
    )
    assert not page.complaints


def test_names_lead_to_the_reference(browser, address):
    page = browser.open(address + "api/steps.html")
    link = 'article a[href$="#tf_splitting.SplitPlan"]'
    page.wait_for(f"document.querySelector('{link}')")
    page.go_to(page.evaluate(f"document.querySelector('{link}').href"))
    assert page.evaluate("document.getElementById('tf_splitting.SplitPlan') !== null")


def test_formulas_are_drawn_by_the_browser(browser, address):
    page = browser.open(address + "method/index.html")
    assert page.evaluate("document.querySelectorAll('math').length") > 50
    assert page.evaluate("document.fonts.check('16px Formulas')")
    assert page.evaluate("document.querySelector('div.math math').clientHeight") > 30
