"""How the site is built: `nox -s site`, or one `sphinx-build` (see CONTRIBUTING.md).

Nothing is fetched, neither here nor by a reader's browser.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

import tf_splitting

project = "tf_splitting"
author = "the authors of tf_splitting"
copyright = author
release = version = tf_splitting.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "docstrings",
    "mathml",
    "names",
    "pictures",
    "repository",
]
exclude_patterns = ["_build", "_extensions", "_static"]

# Every reference has to be found, but for those of ...
nitpicky = True
nitpick_ignore_regex = [
    # ... libraries, which have no inventory that is there without a network;
    (
        "py:.*",
        r"(collections|keras|matplotlib|numpy|np|pathlib|tensorflow|tf|types|typing)\..*",
    ),
    # ... words of a Literal, and what is cut out of a type in quotation marks;
    ("py:class", r"'.*'|list\[.*"),
    # ... names of types that stand for longer ones;
    ("py:class", r"Batches|Dataset|Field"),
    # ... and what public things hold, but nobody who uses them has to know.
    (
        "py:class",
        r"tf_splitting\..*\.(Block|Call|ConfigUse|ConstantUse|Estimation|Group|Inside"
        r"|InputUse|Placement|Silenced)",
    ),
]

# Docstrings: `single backticks` are code; the extension `names` links public names.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 78
python_display_short_literal_types = True
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

myst_enable_extensions = [
    "attrs_block",
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
]
myst_heading_anchors = 3
# A dollar is one unless it encloses mathematics.
myst_dmath_double_inline = True
myst_dmath_allow_digits = False

# Notebooks run once for each of their versions; -D nb_execution_mode=off leaves it.
nb_execution_mode = "cache"
nb_execution_cache_path = str(Path(__file__).parent / "_build" / "notebooks")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

html_theme = "pydata_sphinx_theme"
html_title = "tf_splitting"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_context = {"default_mode": "auto"}
# Pages that no others belong to.
html_sidebars = {"get_started": [], "index": []}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {
        "text": "tf_splitting",
        "image_light": "_static/icon.svg",
        "image_dark": "_static/icon.svg",
    },
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "show_nav_level": 2,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "back_to_top_button": False,
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
