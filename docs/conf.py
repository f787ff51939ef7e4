"""How Sphinx builds these pages: ``python -m sphinx -W -b html docs docs/_build/html``."""

import sys
from pathlib import Path

import matplotlib

import numbanet

matplotlib.use("agg")
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "numbanet"
author = "numbanet developers"
copyright = "numbanet developers"
version = release = numbanet.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",  # pages need no network
    "formulas",
    "public_names",
]
exclude_patterns = ["_build", "chapters/*.ipynb", "tutorial"]
templates_path = ["_templates"]
default_role = "autolink"  # a name in single backticks is a link where there is something to link to
suppress_warnings = ["config.cache"]  # settings that hold functions

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections tell types
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": "tutorial",
    "gallery_dirs": "chapters",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "capture_repr": (),  # what chapters show they print
    "download_all_examples": False,
    "min_reported_time": 60,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "numbanet"
html_static_path = ["_static"]
html_css_files = ["numbanet.css"]
html_favicon = "_static/logo.svg"
html_theme_options = {
    "logo": {"text": "numbanet", "image_light": "_static/logo.svg", "image_dark": "_static/logo.svg"},
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "navigation_with_keys": False,
}
html_sidebars = {page: [] for page in ("index", "start", "comparison", "changes")}
html_show_sourcelink = False
html_copy_source = False
