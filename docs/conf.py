"""Sphinx configuration; `make docs` builds the pages into site/ and treats every warning as an error."""

import linumpy_lib

project = "linumpy-pipeline"
author = "the linumpy-pipeline developers"
version = release = linumpy_lib.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"{project} {version}"
# Building needs no network; in the pages only formulas do (MathJax).
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
highlight_language = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
# Types such as "shape" in docstrings are words, not references.
suppress_warnings = ["ref.python"]
