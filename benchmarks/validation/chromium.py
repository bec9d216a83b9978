"""This machine's Chromium, without a window: shows how our pages look and behave."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""What systems call it; the first that is found is used. Playwright's own browsers are never downloaded."""


def missing() -> str | None:
    """Return why no browser can be started, and what to install; None if one can."""
    if importlib.util.find_spec("playwright") is None:
        return "the package 'playwright' is not installed; install it with: pip install 'activation-bench[test]'"
    if _path() is None:
        return f"no browser on the path (looked for {', '.join(NAMES)}); on Debian: apt-get install chromium"
    return None


@contextmanager
def launch() -> Iterator[Browser]:
    """Yield a new browser, which is closed afterwards. Raises FileNotFoundError if there is none."""
    if reason := missing():
        raise FileNotFoundError(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_path())
        try:
            yield browser
        finally:
            browser.close()


def _path() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)
