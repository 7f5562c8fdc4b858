"""A real browser for tests: Debian's headless Chromium, driven over a pipe.

The DevTools protocol (https://chromedevtools.github.io/devtools-protocol/) is JSON with
a NUL behind each message, read by Chromium from its file descriptor 3 and written to 4:
no driver, no port and no package is needed.

    @pytest.mark.slow
    def test_page(browser):
        page = browser.open(path.as_uri(), width=390)
        assert page.evaluate("document.title") == "tf_splitting"
        assert not page.complaints
"""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Tests fail, in place of being skipped, where this says "required" and none is there.
WANTED = "TF_SPLITTING_BROWSER"
PROGRAM = "chromium"
# Seconds for an answer: a cold start on a busy machine takes several.
PATIENCE = 60
# Nothing but what a test opens: Chromium looks for updates and models otherwise.
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--remote-debugging-pipe",
)


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A browser for all tests of a process, with a profile of its own."""
    program = shutil.which(PROGRAM)
    if program is None:
        missing = f"{PROGRAM} is not installed: apt-get install {PROGRAM}"
        if os.environ.get(WANTED) == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        Browser(program, Path(profile)) as started,
    ):
        yield started


class Browser:
    """A running Chromium; a context manager ends it.

    Args:
        program: path of Chromium.
        profile: an empty folder.
    """

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        # Out of the way of 3 and 4, which they become there.
        theirs = [
            fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (to_read, to_write)
        ]
        self._process = os.posix_spawn(
            program,
            [program, *OPTIONS, f"--user-data-dir={profile}"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, str(profile / "log"), os.O_CREAT | 1, 0o600),
                (os.POSIX_SPAWN_DUP2, theirs[0], 3),
                (os.POSIX_SPAWN_DUP2, theirs[1], 4),
            ],
            setpgroup=0,
        )
        for end in (to_read, to_write, *theirs):
            os.close(end)
        self._log = profile / "log"
        self._unread = b""
        self._last = 0
        self._pages: dict[str, Page] = {}

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._read)
        os.close(self._write)

    def open(
        self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False
    ) -> "Page":
        """Opens a page, of a tab of its own, and waits until it is loaded.

        Args:
            url: of a server, or of a file: `path.as_uri()`.
            width, height: of the window, in CSS pixels.
            dark: whether the system prefers dark colours.
        """
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, target, session["sessionId"])
        self._pages[session["sessionId"]] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        page.prefer(dark=dark)
        page.go_to(url)
        return page

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """Sends a command and returns what comes back.

        Raises:
            AssertionError: Chromium refuses it, does not answer, or is gone.
        """
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        end = time.monotonic() + PATIENCE
        while True:
            answer = self._next(end - time.monotonic())
            if answer is None:
                raise AssertionError(f"{method}: no answer in {PATIENCE} s")
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def listen(self, seconds: float) -> None:
        """Takes in what happens in this time."""
        end = time.monotonic() + seconds
        while self._next(end - time.monotonic()) is not None:
            pass

    def _next(self, seconds: float) -> dict[str, Any] | None:
        """The next message, None if there is none in time; pages hear of theirs."""
        end = time.monotonic() + seconds
        while b"\0" not in self._unread:
            left = max(end - time.monotonic(), 0)
            if not select.select([self._read], [], [], left)[0]:
                return None
            data = os.read(self._read, 1 << 20)
            if not data:
                log = self._log.read_text(errors="replace")[-2000:]
                raise AssertionError(f"Chromium is gone: {log}")
            self._unread += data
        text, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        page = self._pages.get(message.get("sessionId", ""))
        if page is not None and "method" in message:
            page.hear(message["method"], message["params"])
        return message


class Page:
    """An open page.

    Attributes:
        complaints: errors and warnings of the console, exceptions, and requests that
            failed.
        requests: URLs of all that was asked for, files and servers, in order.
    """

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser = browser
        self._target = target
        self._session = session
        self._loaded = False
        self._width = 0
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """Keeps what a test may ask for."""
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            # What is written out in the page is fetched from nowhere.
            if not url.startswith(("data:", "blob:")):
                self.requests.append(url)
        elif method == "Network.loadingFailed" and not params.get("canceled"):
            self.complaints.append(f"request failed: {params['errorText']}")
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", "")
            self.complaints.append(f"{details['text']} {thrown}")
        elif method == "Runtime.consoleAPICalled":
            if params["type"] in ("error", "warning", "assert"):
                said = [str(a.get("value", a)) for a in params["args"]]
                self.complaints.append(f"{params['type']}: {' '.join(said)}")
        elif method == "Log.entryAdded":
            entry = params["entry"]
            if entry["level"] in ("error", "warning"):
                url = entry.get("url", "")
                self.complaints.append(f"{entry['level']}: {entry['text']} {url}")

    def call(self, method: str, **params: Any) -> Any:
        """A command of the DevTools protocol to this page."""
        return self._browser.call(method, self._session, **params)

    def go_to(self, url: str) -> None:
        """Loads another page in its place; what was heard so far stays.

        Raises:
            AssertionError: it cannot be loaded.
        """
        self._loaded = False
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"
        # Within a page, to an anchor, nothing is loaded.
        if "loaderId" not in answer:
            return
        end = time.monotonic() + PATIENCE
        while not self._loaded:
            assert time.monotonic() < end, f"{url}: not loaded in {PATIENCE} s"
            self._browser.listen(0.05)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript, as JSON; promises are awaited.

        Raises:
            AssertionError: it throws.
        """
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        details = answer.get("exceptionDetails")
        assert details is None, f"{expression}: {details}"
        return answer["result"].get("value")

    def wait_for(self, condition: str, seconds: float = 10) -> None:
        """Waits until an expression of JavaScript is true.

        Raises:
            AssertionError: it does not become so in time.
        """
        end = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < end, f"not so in {seconds} s: {condition}"
            self._browser.listen(0.05)

    def resize(self, width: int, height: int = 900) -> None:
        """Makes the window as large, in CSS pixels; narrow ones are a phone's."""
        self._width = width
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def prefer(self, *, dark: bool) -> None:
        """Sets the colours that the system prefers."""
        scheme = {
            "name": "prefers-color-scheme",
            "value": "dark" if dark else "light",
        }
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def hover(self, selector: str, index: int = 0) -> None:
        """Scrolls to an element and moves the mouse to its middle."""
        self._mouse("mouseMoved", *self._middle(selector, index))

    def click(self, selector: str, index: int = 0) -> None:
        """Scrolls to an element and clicks on its middle."""
        x, y = self._middle(selector, index)
        self._mouse("mouseMoved", x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self._mouse(kind, x, y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Types into what has the focus."""
        self.call("Input.insertText", text=text)

    @property
    def overflow(self) -> int:
        """Pixels that the page is wider than its window: it scrolls sideways.

        On a phone also of a page that does not say `width=device-width`, which is laid
        out for a wide window and shown small.
        """
        root = "document.documentElement"
        wide, seen = self.evaluate(f"[{root}.scrollWidth, {root}.clientWidth]")
        # A scroll bar takes some of the window.
        return int(wide - min(seen, self._width))

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Writes what is seen as PNG.

        Args:
            path: of the file.
            whole: all of the page, not only what is in the window.
        """
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def close(self) -> None:
        """Closes the tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)

    def _middle(self, selector: str, index: int) -> tuple[float, float]:
        """Where an element is in the window."""
        chosen = f"document.querySelectorAll({json.dumps(selector)})[{index}]"
        found = self.evaluate(
            f"(() => {{ const e = {chosen}; if (!e) return null;"
            " e.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        assert found is not None, f"there is no element {index} of {selector}"
        return found[0], found[1]

    def _mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)
