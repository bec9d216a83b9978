"""How a number reads: three significant digits and a unit, for tables, sentences and the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MISSING = "–"


def number(value: float, digits: int = 3) -> str:
    """Return `value` with `digits` significant digits: `0.0123`, `1.23`, `1,234`, `1.23×10⁷`, `∞`."""
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    exponent = int(power)
    if -4 < exponent < 6:
        return f"{value:,.{max(0, digits - 1 - exponent)}f}"
    return f"{mantissa}×10{str(exponent).translate(_SUPERSCRIPTS)}"


def count(value: float) -> str:
    """Return a whole number with its thousands separated: `1,048,576`."""
    return f"{int(value):,d}"


def brief(value: float) -> str:
    """Return a whole number in as few letters as a phone has room for: `33 k`, `1 M`, `8.4 M`."""
    factor, unit = next(((f, u) for f, u in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if value >= 0.9995 * f), (1, ""))
    amount = value / factor
    digits = f"{amount:.0f}" if amount >= 10 else f"{amount:.1f}".removesuffix(".0")
    return f"{digits} {unit}".strip()


def seconds(value: float) -> str:
    """Return a duration in the unit that suits it: `12.3 µs`."""
    if not math.isfinite(value):
        return number(value)
    # 0.9995: what would be rounded to 1000 of the smaller unit.
    factor, unit = next(((f, u) for f, u in _TIMES if abs(value) >= 0.9995 * f), _TIMES[-1])
    return f"{number(value / factor)} {unit}"


def duration(value: float) -> str:
    """Return how long people wait, to the second: `9 s`, `2 min 51 s`, `5 min`, `1 h 5 min`."""
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return " ".join([f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest or not minutes))


def interval(low: float, high: float) -> str:
    """Return a confidence interval of a duration, both ends in one unit: `12.1–12.6 µs`."""
    if math.isnan(low) or math.isnan(high):
        return MISSING
    if math.isinf(low) or math.isinf(high):
        return "too few rounds"
    factor, unit = next(((f, u) for f, u in _TIMES if high >= 0.9995 * f), _TIMES[-1])
    return f"{number(low / factor)}–{number(high / factor)} {unit}"


def bounds(low: float, high: float) -> str:
    """Return a confidence interval of a number without a unit: `2.10–2.31`."""
    if math.isnan(low) or math.isnan(high):
        return MISSING
    return "too few rounds" if low <= 0 or math.isinf(high) else f"{number(low)}–{number(high)}"


def size(n_bytes: float) -> str:
    """Return an amount of memory in binary units: `32 MiB`."""
    if math.isnan(n_bytes):
        return MISSING
    factor, unit = next(((f, u) for f, u in _BYTES if n_bytes >= f), (1, "B"))
    amount = n_bytes / factor
    return f"{amount:,.0f} {unit}" if amount == round(amount) else f"{number(amount)} {unit}"


def times(ratio: float) -> str:
    """Return a speed-up as a short label, two digits: `5.3×`, `12×`, `0.87×`."""
    return MISSING if math.isnan(ratio) else f"{number(ratio, 2 if ratio < 99.5 else 3)}×"


def percent(share: float) -> str:
    """Write a share as a percentage."""
    return f"{100 * share:.0f} %"


def percents(low: float, high: float) -> str:
    """Return a confidence interval of a share: `81 to 84 %`, or one number where both ends read the same."""
    if math.isnan(low) or math.isnan(high):
        return MISSING
    if low <= 0 or math.isinf(high):
        return "too few rounds"
    return percent(high) if percent(low) == percent(high) else f"{100 * low:.0f} to {percent(high)}"


def span(values: Sequence[float]) -> str:
    """Return the range of ratios, such as `2.10 to 5.31`; one number where both ends read the same."""
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"


def listing(names: Sequence[str], most: int = 6) -> str:
    """Return names as in a sentence: `a`, `a and b`, `a, b and 3 more`."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def plural(n: int, noun: str) -> str:
    """Return a count with its noun: `1 case`, `2,048 cases`."""
    return f"{count(n)} {noun if n == 1 else noun + 's'}"
