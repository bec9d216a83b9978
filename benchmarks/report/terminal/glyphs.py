"""Glyphs: how text is spelled where the output lacks one of its signs, such as `us` for `µs`."""

from __future__ import annotations

import codecs
import io
import re
from typing import TextIO

_RAISED = re.compile("([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_POWER = re.compile(f"×10{_RAISED.pattern}")
_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_ASCII = str.maketrans(
    {"µ": "u", "×": "x", "±": "+-", "≈": "~", "–": "-", "−": "-", "…": "...", "∞": "inf", "†": "+"}
    | {"▲": "^", "▼": "v", "✗": "x", "✓": "*", "·": ".", "°": ""}
    | dict(zip("▁▂▃▄▅▆▇█", "12345678", strict=True))
)
_HANDLER = "activation-bench.spelled"
"""The name of our way to deal with signs that an encoding lacks."""


def spelled(text: str, encoding: str) -> str:
    """Return `text` as it is if `encoding` has all of its signs, or else in ASCII, with `?` for what it lacks."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):  # Python may not know the encoding either
        text = _POWER.sub(lambda power: f"e{power[1].translate(_DIGITS)}", text)
        text = _RAISED.sub(lambda raised: f"^{raised[1].translate(_DIGITS)}", text)
        return text.translate(_ASCII).encode("ascii", "replace").decode()
    return text


def never_fail(stream: TextIO) -> None:
    """Let a stream spell each sign that its encoding lacks, where it would raise UnicodeEncodeError.

    Text that is laid out in columns goes through `spelled` first: what takes more room must be known before.
    """
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors=_HANDLER)


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return spelled(error.object[error.start : error.end], "ascii"), error.end


codecs.register_error(_HANDLER, _spell)
