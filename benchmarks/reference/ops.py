"""A page for each op: what it is, what it takes, how accurate it must be, who computes it and how.

The pages are Markdown that reads well as it is; the built site adds the picture (`benchmarks.reference.curves`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from backends.catalogue import OPS
from backends.interface import Input, OpSpec, Parameter
from benchmarks.check import course_notes
from benchmarks.check.deviations import ALL_DIGITS, INF, KnownDeviation
from benchmarks.check.known_deviations import KNOWN_DEVIATIONS
from benchmarks.record.schema import DEVICES, DTYPES
from benchmarks.reference import markdown, support
from benchmarks.reference.support import Loaded, all_or

_KNOWN = (
    "For these inputs a framework's own function is known to be less accurate than the budget. It is timed all "
    "the same, and the tests notice when it changes."
)
_KINDS = {
    "elementwise": "on each element by itself",
    "along_axis": "on each row along an axis",
    "loss": "as a loss, reduced to its mean, its sum or not at all",
}
_DOMAINS = {
    "real": "any numbers",
    "unit": "numbers from 0 to 1",
    "signed_unit": "numbers from -1 to 1",
    "positive": "numbers above 0",
    "nonnegative": "numbers from 0 on",
    "sign": "-1 or 1",
    "distribution": "numbers from 0 on whose sum along the classes is 1",
    "log_distribution": "logarithms of numbers whose sum along the classes is 1",
    "one_hot": "1 at one class of each row, 0 at the others",
    "labels": "integers from 0 to the number of classes less 1",
}
_EXTENTS = {
    "same": "in the shape of `{first}`",
    "rows": "one for each row",
    "classes": "one for each class",
    "broadcast": "in a shape that broadcasts to that of `{first}`",
}
_REGIONS = {
    "anywhere": "anywhere",
    "undefined": "where the exact result is NaN",
    "zero": "where the exact result is 0",
    "subnormal": "at subnormal numbers, and near them",
    "huge": "where the third power overflows",
    "top": "where 16 times the input overflows",
}
"""The regions of known deviations (`KnownDeviation.at`) that no interval describes."""


def page(spec: OpSpec, loaded: Loaded) -> str:
    """Return an op's page, from the catalogue, the known deviations and what the loaded backends say."""
    sections = {
        "Convention": _convention(spec),
        "Arguments": markdown.table(list(_arguments(spec))),
        "The course notes' example": _example(spec.name),
        "Accuracy": _accuracy(spec, loaded),
        "Known deviations": _deviations(spec.name),
        "Who computes it": support.implementations_table(loaded, spec.name),
        "Gaps": support.gaps_table(loaded, spec.name),
    }
    told = [f"## {title}\n\n{text}" for title, text in sections.items() if text]
    head = f"# {spec.name}\n\n{markdown.plain(spec.summary)}.\n\n{_facts(spec)}"
    return "\n\n".join([head, *told]) + "\n"


def _facts(spec: OpSpec) -> str:
    taken = [d.name for d in spec.inputs] + [f"{p.name}={p.default!r}" for p in spec.parameters]
    facts = {
        "Formula": f"`{spec.formula}`",
        "Call": f"`b.{spec.name}({', '.join(taken)})`, with [a backend `b`](../python.md#use-a-backend-directly)",
        "Acts": _KINDS[spec.kind],
        "Gradient from its output y": _from_output(spec),
        "Also called": markdown.code(spec.aliases),
        "At kinks": markdown.plain(spec.kink_convention),
        "At infinity": "; ".join(_limit(*limit) for limit in spec.limits if math.isinf(limit[0])),
        "Source": markdown.plain(spec.source),
        "Measure it": f"`pytest benchmarks --op {spec.name}`, or [try a function of yours](../try.md)",
    }
    return "\n".join(f"- **{name}:** {fact}" for name, fact in facts.items() if fact)


def _from_output(spec: OpSpec) -> str:
    if spec.from_output is None:
        return ""
    budget = spec.from_output.budget
    call = f'`b.vjp_from_output("{spec.name}")(g, y)`'
    return f"`{spec.from_output.formula}`, {call}, off by at most {budget.backward:g} ULP: {budget.reason}"


def _limit(x: float, value: float, slope: float) -> str:
    return f"f({_number(x)}) = {_number(value)}, f′({_number(x)}) = {_number(slope)}"


def _number(x: float) -> str:
    return f"{x:g}".replace("inf", "∞").replace("-", "−")


def _convention(spec: OpSpec) -> str:
    if not spec.choice:
        return ""
    elsewhere = f"\n- **Elsewhere:** {markdown.plain(spec.elsewhere)}" if spec.elsewhere else ""
    return f"- **Here:** {markdown.plain(spec.choice)}{elsewhere}"


# --- arguments --------------------------------------------------------------------------------------------------


def _arguments(spec: OpSpec) -> Iterator[dict[str, str]]:
    first = spec.inputs[0].name
    for each in spec.inputs:
        default = "`None`" if each.optional else ""
        yield {"argument": f"`{each.name}`", "what it takes": _values(each, first), "default": default}
    for parameter in spec.parameters:
        yield {
            "argument": f"`{parameter.name}`",
            "what it takes": _range(parameter),
            "default": f"`{parameter.default!r}`",
        }


def _values(each: Input, first: str) -> str:
    extent = "" if each.name == first else ", " + _EXTENTS[each.extent].format(first=first)
    return _DOMAINS[each.domain] + extent


def _range(parameter: Parameter) -> str:
    if parameter.choices:
        return " or ".join(f"`{choice!r}`" for choice in parameter.choices)
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (
            ("at least", parameter.minimum),
            ("above", parameter.above),
            ("at most", parameter.maximum),
        )
        if bound is not None
    ]
    noun = "a whole number" if parameter.whole else "a number"
    none = ", or `None`" if parameter.optional or parameter.default is None else ""
    return f"{noun} {' and '.join(bounds)}".strip() + none


def _example(op: str) -> str:
    if (example := course_notes.EXAMPLES.get(op)) is None:
        return ""
    answer = ", ".join(f"{x:g}" for x in course_notes.PREDICTION)
    return (
        f"The network's answer is `[{answer}]`; the digit is a 2, so that the target is 1 there and 0 elsewhere.\n"
        f'With `reduction="{example.reduction}"` the loss is {example.told}.'
    )


# --- accuracy ---------------------------------------------------------------------------------------------------


def _accuracy(spec: OpSpec, loaded: Loaded) -> str:
    budget = spec.budget
    sizes = f"by {budget.forward:g} ULP, and a gradient by {budget.backward:g} ULP"
    sentences = [f"A result may be off {sizes}: {markdown.plain(budget.reason)}."]
    if budget.forward_scale or budget.backward_scale:
        sentences.append(
            "Where terms cancel, errors are counted in units of the largest term that any formula has to add."
        )
    for (forward, backward), names in _promises(spec.name, loaded).items():
        sentences.append(
            f"In float32 and float64, {markdown.code(names)} {'promises' if len(names) == 1 else 'promise'} "
            f"{forward:g} and {backward:g} ULP."
        )
    return " ".join(sentences) + "\n\n[How accurate each backend is](../accuracy.md)"


def _promises(op: str, loaded: Loaded) -> dict[tuple[float, float], list[str]]:
    """Return the backends that promise an error, by what they promise forward and backward."""
    found: dict[tuple[float, float], list[str]] = {}
    for name, backend in loaded.items():
        forward, backward = (
            backend.promised_ulp(op, mode=mode, dtype="float32") for mode in ("forward", "backward")
        )
        if math.isfinite(forward) and backend.supports(op):
            found.setdefault((forward, backward), []).append(name)
    return found


def _deviations(op: str) -> str:
    if not (table := deviations_table(op)):
        return ""
    return f"{_KNOWN}\n\n{table}"


def deviations_table(op: str) -> str:
    """Return the known deviations of an op: of which backend, where, how far off, and why."""
    rows = [
        {
            "backend": ", ".join(each.backends),
            "mode": ", ".join(each.modes) + " from the output" * (each.saved == "output"),
            "dtypes": all_or(each.dtypes, DTYPES),
            "device": all_or(each.devices, DEVICES),
            "where": _where(each, op),
            "error": _size(each),
            "why": _why(each),
        }
        for each in KNOWN_DEVIATIONS
        if op in each.ops
    ]
    rows = _merged(_merged(rows, "mode", ", "), "where", "; ")
    told = [name for name in rows[0] if {row[name] for row in rows} != {"all"}] if rows else []
    return markdown.table([{name: row[name] for name in told} for row in rows])


def _merged(rows: list[dict[str, str]], column: str, joint: str) -> list[dict[str, str]]:
    """Return one row for those that differ in one column alone."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        key = tuple(value for name, value in row.items() if name != column)
        found[key] = row | {column: found[key][column] + joint + row[column]} if key in found else row
    return list(found.values())


def _why(deviation: KnownDeviation) -> str:
    """Return the reason, and a link to where the framework's maintainers were told."""
    reason, issue = markdown.plain(deviation.reason), deviation.issue
    if not issue:
        return reason
    url = issue if "://" in issue else "https://github.com/{}/issues/{}".format(*issue.split("#"))
    return f"{reason} ([issue]({url}))"


def _where(deviation: KnownDeviation, op: str) -> str:
    first = OPS[op].inputs[0].name if deviation.saved == "input" else "y"
    places = [_region(deviation, first)]
    if deviation.beside is not None:
        places.append(f"`{OPS[op].inputs[1].name}` = {_number(deviation.beside)}")
    return ", ".join([*places, *(f"`{name}={value!r}`" for name, value in deviation.parameters.items())])


def _region(deviation: KnownDeviation, first: str) -> str:
    interval = _interval(deviation.low, deviation.high)
    if deviation.at == "row":
        return f"rows with an entry {interval}"
    if deviation.at == "interval" and interval:
        return f"`{first}` {interval}"
    return _REGIONS.get(deviation.at, "anywhere")


def _interval(low: float, high: float) -> str:
    """Return low <= x <= high without x; empty for all numbers."""
    if low == high:
        return f"= {_number(low)}"
    if INF in (-low, high):
        bounds = [f"≥ {_number(low)}"] * (low > -INF) + [f"≤ {_number(high)}"] * (high < INF)
        return "".join(bounds)
    return f"from {_number(low)} to {_number(high)}"


def _size(deviation: KnownDeviation) -> str:
    if deviation.cancels < INF:
        return f"{deviation.cancels:g} ε·max(1, abs(x))"
    if deviation.max_ulp == INF:
        return "any"
    return "no digit is right" if deviation.max_ulp == ALL_DIGITS else f"{deviation.max_ulp:g} ULP"
