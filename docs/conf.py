"""Sphinx's settings: the pages of the repository, as they are, become one site that needs no network.

`CONTRIBUTING.md` has the command. The table of contents is docs/README.md, and the pictures of functions are drawn
while the pages are read: none is kept.
"""

import re
import shutil
import tomllib
from pathlib import Path
from posixpath import normpath
from typing import Any

from sphinx.application import Sphinx

from benchmarks.reference import curves

ROOT = Path(__file__).resolve().parents[1]

project = "activation-bench"
version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
extensions = ["myst_parser"]
root_doc = "README"
published = [f"published/*/{name}" for name in ("accuracy", "leads")]  # the pages there that have a title
include_patterns = ["*.md", "docs/**.md", "results/README.md", *(f"results/{page}.md" for page in published)]
exclude_patterns = [".*", "build", "tests"]
nitpicky = True
smartquotes = False  # `--op` is no dash
myst_heading_anchors = 4  # `page.md#heading`, as on GitHub
html_theme = "furo"
html_title = project
html_copy_source = False
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_copyright = False


def contents() -> str:
    """Return a table of contents for each section of docs/README.md, which lists every page."""
    first, *sections = (ROOT / "docs" / "README.md").read_text("utf-8").split("\n## ")
    del first
    return "\n".join(map(_section, sections))


def _section(text: str) -> str:
    caption, _, bullets = text.partition("\n")
    found = re.findall(r"^- \[(.+?)\]\((.+?)\.md\)", bullets, re.MULTILINE)
    pages = [f"{title} <{normpath(f'docs/{path}')}>" for title, path in found]
    return _toctree([page for page in pages if not page.endswith("<README>")], f":caption: {caption}")


def _toctree(pages: list[str], *options: str) -> str:
    return "\n".join(["", "```{toctree}", ":hidden:", *options, "", *pages, "```", ""])


def complete(app: Sphinx, page: str, source: list[str]) -> None:
    """Add to a page what only the site has: tables of contents, and the picture of a function."""
    del app
    if page == root_doc:
        source[0] += contents() + _toctree(["All pages <docs/README>"])
    elif page == "docs/ops":
        source[0] += _toctree(["ops/*"], ":glob:")
    elif page == "results/README":
        source[0] += _toctree(published, ":glob:")
    elif page.startswith("docs/ops/"):
        title, summary, rest = source[0].split("\n\n", 2)
        if picture := curves.figure(page.rpartition("/")[2]):
            source[0] = f"{title}\n\n{summary}\n\n````{{raw}} html\n{picture}\n````\n\n{rest}"


def keep_options_whole(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: object) -> None:
    """Mark the options of commands, within which a phone may not break a line."""
    del app, page, template, tree
    context["body"] = re.sub(
        r'<div class="highlight-sh.*?</pre>',
        lambda block: re.sub(r"(?<![\w-])--?[a-z][\w-]*", r'<span class="option">\g<0></span>', block[0]),
        context.get("body", ""),
        flags=re.DOTALL,
    )


def open_at_the_start(app: Sphinx, error: Exception | None) -> None:
    """Let the folder open at the README."""
    if error is None and app.builder.name == "html":
        shutil.copy(app.outdir / "README.html", app.outdir / "index.html")


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.connect("source-read", complete)
    app.connect("html-page-context", keep_options_whole)
    app.connect("build-finished", open_at_the_start)
