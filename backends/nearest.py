"""Which name was most likely meant: one rule for what Python and the command line refuse."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(text: str, words: Iterable[str]) -> str | None:
    """Return the word that was most likely meant: one of the same letters, or else one that shares most."""
    from difflib import get_close_matches  # late: names are rarely wrong

    wrong, words = text.lower(), tuple(words)
    same = [word for word in words if sorted(word) == sorted(wrong)]  # `gleu` is nearer to `gelu` than to `glu`
    return next(iter(same or get_close_matches(wrong, words, n=1)), None)
