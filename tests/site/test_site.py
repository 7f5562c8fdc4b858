"""The site is built strictly, and looked at in a real browser, page by page."""

import functools
import http.server
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason='pip install -e ".[docs]"')
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
WIDTHS = (1280, 390)
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


def navigation(page, address):
    """Every page that the navigation leads to, from the first on."""
    found, waiting = {}, ["index.html"]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        page.go_to(address + path)
        links = page.evaluate(
            '[...document.querySelectorAll("nav a.nav-link, nav a.reference.internal,'
            ' article a.reference.internal, article a.sd-stretched-link")]'
            ".map(each => each.href)"
        )
        found[path] = page.evaluate("document.title")
        for link in links:
            link = link.partition("#")[0]
            if link.startswith(address) and link.endswith(".html"):
                waiting.append(link.removeprefix(address))
    return found


def test_every_page_is_fine_on_a_desk_and_on_a_phone(browser, site, address):
    page = browser.open(address)
    pages = navigation(page, address)
    page.close()
    written = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    assert set(pages) == written - {"search.html", "genindex.html", "py-modindex.html"}
    assert len(pages) > 30
    for width in WIDTHS:
        for path in pages:
            page = browser.open(address + path, width=width)
            assert not page.complaints, (path, width)
            others = [
                url for url in page.requests if not url.startswith((address, "data:"))
            ]
            assert not others, (path, width)
            assert page.overflow <= 0, (path, width)
            for source, alt, natural, wide, high in page.evaluate(PICTURES):
                assert min(natural, wide, high) > 0, (path, width, source)
                # A logo stands beside the name that it would repeat.
                assert alt or "_static" in source, (path, width, source)
            page.close()


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
