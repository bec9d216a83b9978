"""What each backend supports of the ops, and how it computes them, as the loaded backends say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.catalogue import OPS
from backends.interface import MODES, Backend, Gap
from benchmarks.record.schema import DTYPES
from benchmarks.reference import markdown

Loaded = Mapping[str, Backend]
"""Backends by name."""

_WHOSE = {"todo": "ours to write", "upstream": "the framework's", "never": "makes no sense"}


def support_table(loaded: Loaded) -> str:
    """Return which dtypes each op supports on each backend."""
    return markdown.table(
        [{"op": f"`{op}`"} | {name: supported(backend, op) for name, backend in loaded.items()} for op in OPS]
    )


def gaps_table(loaded: Loaded, op: str = "") -> str:
    """Return what each backend does not support, and why; of one op, only what is about that op."""
    owners: dict[Gap, list[str]] = {}
    for name, backend in loaded.items():
        for gap in _gaps(backend):
            if not op or op in gap.ops:
                owners.setdefault(gap, []).append(name)
    return markdown.table(
        [
            {"backend": all_or(names, tuple(loaded))}
            | ({} if op else {"op": markdown.code(gap.ops) or "all"})
            | {
                "what": _what(gap) or "all",
                "why": markdown.plain(gap.reason),
                "whose": _WHOSE[gap.kind],
            }
            for gap, names in owners.items()
        ]
    )


def implementations_table(loaded: Loaded, op: str) -> str:
    """Return how each backend computes an op, and in which dtypes: a row for those that do the same."""
    owners: dict[tuple[str, str], list[str]] = {}
    for name, backend in loaded.items():
        owners.setdefault((supported(backend, op), backend.how(op)), []).append(name)
    return markdown.table(
        [
            {"backend": ", ".join(names), "dtypes": dtypes, "how": markdown.plain(how)}
            for (dtypes, how), names in owners.items()
        ]
    )


def supported(backend: Backend, op: str) -> str:
    """Return the dtypes in which an op runs, forward and backward."""
    names = [dtype for dtype in DTYPES if all(backend.supports(op, dtype=dtype, mode=mode) for mode in MODES)]
    return all_or(names, DTYPES)


def all_or(names: Sequence[str], every: Sequence[str]) -> str:
    """Return names in words: `all` for every one, `none` without any."""
    return "all" if len(names) == len(every) else ", ".join(names) or "none"


def _what(gap: Gap) -> str:
    saved = [f"from the {saved}" for saved in gap.saved]
    return ", ".join([*gap.dtypes, *gap.modes, *gap.allocations, *saved, *gap.devices])


def _gaps(backend: Backend) -> list[Gap]:
    """Return the gaps that a backend declares, and one for each op without a function."""
    missing = (backend.supports(op) for op in OPS)
    return [*backend.gaps, *(gap for gap in missing if isinstance(gap, Gap) and gap not in backend.gaps)]
