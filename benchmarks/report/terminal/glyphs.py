"""Glyphs: how text is spelled where the output lacks one of its signs, such as `us` for `µs`."""

from __future__ import annotations

import re

_POWER = re.compile("×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_ASCII = str.maketrans(
    {"µ": "u", "×": "x", "±": "+-", "≈": "~", "–": "-", "−": "-", "…": "...", "∞": "inf", "†": "+"}
)


def spelled(text: str, encoding: str) -> str:
    """Return `text` as it is if `encoding` has all of its signs, or else in ASCII, with `?` for what it lacks."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):  # Python may not know the encoding either
        text = _POWER.sub(lambda power: f"e{power[1].translate(_DIGITS)}", text)
        return text.translate(_ASCII).encode("ascii", "replace").decode()
    return text
