"""The gallery: what the tutorials drew, kept in the repository.

A cell that draws says what is seen, `alt`, in its options. `-D take_pictures=1` copies
what such cells drew when they ran to `gallery/`; the directive `gallery` shows these,
so that the page is there when tutorials do not run.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

FOLDER = "gallery"
CELL = re.compile(
    r"^#+ (?P<heading>[^\n]*)$|^```\{code-cell\}[^\n]*\n---\n(?P<options>.*?)^---$",
    re.MULTILINE | re.DOTALL,
)


class Picture(NamedTuple):
    """What a cell draws: the file, the heading above the cell, what is seen."""

    file: str
    heading: str
    alt: str


def pictures(tutorial: Path) -> list[Picture]:
    """Those of a tutorial's source, in order."""
    found: list[Picture] = []
    heading = ""
    for part in CELL.finditer(_without_code(tutorial.read_text())):
        if part["heading"] is not None:
            heading = part["heading"]
            continue
        image = yaml.safe_load(part["options"])["mystnb"].get("image")
        if image is not None:
            name = f"{tutorial.stem}-{len(found) + 1}.png"
            found.append(Picture(name, heading, image["alt"]))
    return found


def _without_code(text: str) -> str:
    """The same without the lines of code, in which `#` is no heading."""
    inside = False
    kept = []
    for line in text.splitlines():
        if line.startswith("```"):
            inside = line.startswith("```{code-cell}")
            options = 2
        elif inside and line == "---" and options:
            options -= 1
        elif inside and options != 1:
            continue
        kept.append(line)
    return "\n".join(kept)


class Gallery(SphinxDirective):
    """Cards of all pictures of the tutorials that it names."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        lines = ["::::{grid} 1 1 2 2", ":gutter: 3", ""]
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for name in self.content:
            self.env.note_dependency(str(folder / f"{name}.md"))
            text = (folder / f"{name}.md").read_text()
            title = re.search(r"^# (.*)$", text, re.MULTILINE)[1]
            for file, heading, alt in pictures(folder / f"{name}.md"):
                lines += [
                    ":::{grid-item-card}",
                    f":link: {name}",
                    ":link-type: doc",
                    f":img-top: ../{FOLDER}/{file}",
                    f":img-alt: {alt}",
                    f"**{heading}**",
                    "",
                    title,
                    ":::",
                ]
        return self.parse_text_to_nodes("\n".join([*lines, "::::"]))


def take(app: Sphinx, env: BuildEnvironment) -> None:
    """Copies what the tutorials drew, if asked to, before the gallery is written."""
    if not app.config.take_pictures:
        return
    source = Path(app.srcdir)
    for page in env.found_docs:
        path = source / f"{page}.md"
        wanted = pictures(path) if page.startswith("tutorials/") else []
        if not wanted:
            continue
        drawn = [
            source / image["uri"]
            for image in env.get_doctree(page).findall(nodes.image)
            if image.get("alt") in {each.alt for each in wanted}
        ]
        for file, each in zip(drawn, wanted, strict=True):
            shutil.copyfile(file, source / FOLDER / each.file)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("take_pictures", False, "", bool)
    app.add_directive("gallery", Gallery)
    app.connect("env-updated", take)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
