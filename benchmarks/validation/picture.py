"""A picture of a report, as in the README: its first screen, with who wins where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.validation import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPORT = Path("results/published/dev-2core/report.html")
WIDTH = 1280
_HEIGHT = 1600
"""Of the window, in pixels."""
_FIRST_ALONE = "main > :not(#answer) { visibility: hidden; }"
"""Leaves out the top of what follows, which the margin below would show cut in two."""


def save(report: Path, output: Path | None = None, *, width: int = WIDTH, dark: bool = False) -> Path:
    """Save the picture of `report` as a PNG file in a browser of its own; return its path.

    `width` is the window's, in pixels. Without `output`, the file lies beside the report. Raises FileNotFoundError
    for a report or a browser that does not exist, ValueError for a page without the map.
    """
    if not report.is_file():
        raise FileNotFoundError(f"REPORT.html: must be a report that exists; got {str(report)!r}")
    with chromium.launch() as browser:
        return take(browser, report, output or _beside(report, width, dark=dark), width=width, dark=dark)


def take(browser: Browser, report: Path, output: Path, *, width: int = WIDTH, dark: bool = False) -> Path:
    """Save the picture of `report` as `output`, a PNG file, with a browser that runs already; return its path."""
    page = browser.new_page(viewport={"width": width, "height": _HEIGHT}, color_scheme="dark" if dark else "light")
    try:
        page.goto(report.resolve().as_uri())
        first = page.locator("#answer")
        area = first.bounding_box() if first.locator("table").count() else None
        if area is None:
            raise ValueError(f"REPORT.html: must have a map of who wins where; {str(report)!r} has none")
        output.parent.mkdir(parents=True, exist_ok=True)
        margin = area["x"]
        clip = {"x": 0, "y": 0, "width": width, "height": area["y"] + area["height"] + margin}
        page.screenshot(path=output, full_page=True, clip=clip, style=_FIRST_ALONE)
    finally:
        page.close()
    return output


def _beside(report: Path, width: int, *, dark: bool) -> Path:
    """Return where the picture goes by default; a width or theme other than the README's is in its name."""
    marks = [str(width)] * (width != WIDTH) + ["dark"] * dark
    return report.with_name("-".join([report.stem, *marks]) + ".png")
