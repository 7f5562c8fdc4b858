"""The README's badges say what pyproject.toml does."""

import subprocess
import sys
from xml.etree import ElementTree

from tool_runs import ROOT

BADGES = ROOT / "docs" / "badges.svg"


def test_the_badges_are_those_of_now():
    process = subprocess.run(
        [sys.executable, "tools/make_badges.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert process.stdout == BADGES.read_text(encoding="utf-8")
    said = ElementTree.fromstring(process.stdout).attrib["aria-label"]
    assert "license Apache-2.0" in said
    # Whoever does not see them reads this.
    assert f"![{said}](docs/badges.svg)" in (ROOT / "README.md").read_text()
