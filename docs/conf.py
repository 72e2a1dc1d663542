"""The documentation site: ``make docs`` builds it from these Markdown pages and the README."""

from __future__ import annotations

from importlib.metadata import version as installed_version

project = "flask-chatix-comments"
author = "The flask-chatix-comments maintainers"
release = installed_version(project)

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist"]
# What README, changelog and the others link to within themselves.
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"{project} {release}"
html_show_sourcelink = False
html_copy_source = False
