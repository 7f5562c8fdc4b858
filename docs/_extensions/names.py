"""Code that is the name of something public leads to what the reference says of it.

`grow` in a docstring and `tf_splitting.grow(...)` in a page are written alike, as code.
Docstrings need no other markup for that.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

# Words that mean something else as often: an attribute, an argument, a flag.
AMBIGUOUS = {"data", "layers", "methods", "models", "names", "scale", "total", "train"}
CALLED = re.compile(r"(?:tf_splitting\.)?([A-Za-z_][\w.]*)(?:\((?:\.\.\.)?\))?")


class LinkedNames(SphinxPostTransform):
    """Turns such code into links."""

    default_priority = 20  # behind the references that pages make themselves

    def run(self) -> None:
        for literal in list(self.document.findall(nodes.literal)):
            if _is_within(literal, (nodes.reference, pending_xref, nodes.title)):
                continue
            found = CALLED.fullmatch(literal.astext())
            target = found and self._known(found.group(1))
            if target:
                docname, anchor = target
                link = make_refnode(
                    self.app.builder, self.env.docname, docname, anchor, literal.copy()
                )
                link[0].extend(literal.children)
                literal.replace_self(link)

    def _known(self, name: str) -> tuple[str, str] | None:
        """Page and anchor of a public name; None if there is no such, or several."""
        if name in AMBIGUOUS:
            return None
        objects = self.env.domains.python_domain.objects
        entry = objects.get(f"tf_splitting.{name}")
        if entry is None or entry.objtype not in ("function", "class", "exception"):
            rooms = ("data", "errors", "layers", "methods", "models", "costs")
            rooms = (*rooms, "estimating", "exporting", "selecting", "training")
            full = [f"tf_splitting.{room}.{name}" for room in rooms]
            # Layers of ours are called what Keras calls its own.
            entries = [objects[each] for each in full if each in objects]
            entries = [e for e in entries if not e.node_id.startswith(_LAYERS)]
            if len(entries) != 1:
                return None
            entry = entries[0]
        return entry.docname, entry.node_id


_LAYERS = tuple(
    f"tf_splitting.layers.{kind}"
    for kind in ("BatchNorm", "Conv", "Dense", "Depthwise", "PReLU", "Separable")
)


def _is_within(node: nodes.Node, kinds: tuple[type, ...]) -> bool:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, kinds):
            return True
    return False


def find(
    app: Sphinx, env: BuildEnvironment, node: Any, content: nodes.TextElement
) -> nodes.reference | None:
    """Resolves what a signature or a list of errors calls by its short name."""
    if node.get("refdomain") != "py" or "." in node["reftarget"]:
        return None
    ends = f".{node['reftarget']}"
    found = {
        (entry.docname, entry.node_id)
        for name, entry in env.domains.python_domain.objects.items()
        if name.endswith(ends) and entry.objtype in ("class", "exception", "data")
    }
    if len(found) != 1:
        return None
    page, anchor = found.pop()
    return make_refnode(app.builder, node["refdoc"], page, anchor, content)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(LinkedNames)
    app.connect("missing-reference", find)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
