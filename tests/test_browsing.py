"""The browser that other tests look at pages with tells what is wrong with one."""

import pytest

pytestmark = pytest.mark.slow


def test_what_a_page_does_is_heard(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(
        "<meta name=viewport content='width=device-width'><title>a page</title>"
        "<body style='margin:0'>"
        "<button onclick='document.title = \"clicked\"'>click</button>"
        "<div style='width:600px'>wide</div><img src='missing.png' alt=''>"
        "<script>console.error('a word'); fail()</script>"
    )
    page = browser.open(path.as_uri(), width=390)
    assert page.evaluate("Promise.resolve(document.title)") == "a page"
    assert page.overflow == 210
    page.resize(800)
    assert page.overflow == 0
    complaints = "\n".join(page.complaints)
    for told in ("error: a word", "fail is not defined", "request failed"):
        assert told in complaints
    assert page.requests == [path.as_uri(), (tmp_path / "missing.png").as_uri()]

    page.click("button")
    page.wait_for("document.title == 'clicked'")
    dark = "matchMedia('(prefers-color-scheme: dark)').matches"
    assert not page.evaluate(dark)
    page.prefer(dark=True)
    assert page.evaluate(dark)
    page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(AssertionError, match="no element 1 of button"):
        page.click("button", 1)
    with pytest.raises(AssertionError, match="not so in"):
        page.wait_for("false", seconds=0.1)
    page.close()
