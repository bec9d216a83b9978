"""The machine as a definition list: whatever keys it has, with units and names that read well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import quantities

_UNITS = {"_gib": "GiB", "_mhz": "MHz", "_ghz": "GHz", "_s": "s", "_w": "W", "_c": "°C"}
_CAPITALS = {
    "cpu": "CPU",
    "gpu": "GPU",
    "cuda": "CUDA",
    "l2": "L2",
    "l3": "L3",
    "cpus": "CPUs",
    "id": "ID",
    "python": "Python",
}


@dataclass(frozen=True)
class Entry:
    """A term and either its value or, where that is a mapping, the entries below it."""

    term: str
    value: str = ""
    below: tuple[Entry, ...] = ()


def entries(machine: Mapping[str, object], *, verbatim: bool = False) -> tuple[Entry, ...]:
    """Return the entries of a nested mapping; `verbatim` leaves its keys alone (they are packages' names)."""
    found = []
    for key, value in machine.items():
        name, unit = (key, "") if verbatim else _split_unit(str(key))
        term = str(key) if verbatim else " ".join(_CAPITALS.get(word, word) for word in name.split("_"))
        if isinstance(value, Mapping):
            found.append(Entry(term, below=entries(value, verbatim=key == "packages")))
        else:
            found.append(Entry(term, _value(value, unit)))
    return tuple(found)


def line(machine: Mapping[str, object]) -> str:
    """Return the machine in one line, from the usual keys that it has."""
    parts = [
        _value(machine["cpu"], "") if isinstance(machine.get("cpu"), str) else "",
        f"{machine['cores']} cores" if machine.get("cores") else "",
        f"{machine['threads']} threads used" if machine.get("threads") else "",
        f"{machine['memory_gib']} GiB" if machine.get("memory_gib") else "",
        f"{machine['system']} {machine.get('kernel') or ''}".strip() if machine.get("system") else "",
        f"Python {machine['python']}" if machine.get("python") else "",
    ]
    return ", ".join(part for part in parts if part)


def _split_unit(key: str) -> tuple[str, str]:
    if key.endswith("_bytes"):
        return key.removesuffix("_bytes"), "bytes"
    return next(((key.removesuffix(end), unit) for end, unit in _UNITS.items() if key.endswith(end)), (key, ""))


def _value(value: object, unit: str) -> str:
    if value is None or value == "":
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if unit == "bytes" and isinstance(value, (int, float)):
        return quantities.size(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(inner, '')}" for key, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_value(item, "") for item in value) or "none"
    return f"{value} {unit}".strip()
