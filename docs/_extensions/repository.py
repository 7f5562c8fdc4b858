"""Links between files of the repository lead to the pages that show these files.

`[CONTRIBUTING.md](CONTRIBUTING.md)` works where the repository is browsed; on the site
it has to lead to the page that includes the file.
"""

from __future__ import annotations

import posixpath

from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

PAGES = {
    "ARCHITECTURE": "project/architecture",
    "CHANGELOG": "project/changelog",
    "CONTRIBUTING": "project/contributing",
    "README": "index",
}


class RepositoryLinks(SphinxPostTransform):
    """Resolves paths from the repository's root, before MyST misses them."""

    default_priority = 8

    def run(self) -> None:
        for node in list(self.document.findall(pending_xref)):
            if node["reftype"] != "myst":
                continue
            path = node["reftarget"].partition("#")[0].removesuffix(".md")
            page = PAGES.get(posixpath.basename(path))
            if page is None and path.startswith("docs/"):
                page = path.removeprefix("docs/")
            if page in self.env.found_docs:
                link = make_refnode(
                    self.app.builder, self.env.docname, page, "", node[0].deepcopy()
                )
                node.replace_self(link)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(RepositoryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
