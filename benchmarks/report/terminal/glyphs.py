"""Glyphs: how text is spelled where the output's encoding lacks a sign, such as `us` for `µs` in ASCII."""

from __future__ import annotations

import re

_ASCII = {"µ": "u", "×": "x", "±": "+-", "≈": "~", "–": "-", "−": "-", "…": "...", "∞": "inf", "’": "'", "²": "^2"}
_POWER = re.compile("×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def spelled(text: str, encoding: str) -> str:
    """Return `text` in signs that `encoding` has; those for which nobody knows another spelling become `?`."""
    if _has(encoding, text):
        return text
    text = _POWER.sub(lambda power: f"e{power[1].translate(_DIGITS)}", text)
    return "".join(sign if _has(encoding, sign) else _ASCII.get(sign, "?") for sign in text)


def _has(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    except LookupError:  # an encoding that Python does not know either
        return text.isascii()
    return True
