"""What is measured, from a command line: options that pytest and our own commands share.

They are declared through `add`, which is pytest's `addoption` or argparse's `add_argument`: both take the same.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import backends
from backends.catalogue import ALIASES, OPS
from backends.interface import kind_of
from benchmarks.plan import spelling
from benchmarks.plan.presets import PRESETS
from benchmarks.plan.selection import Selection
from benchmarks.plan.spelling import Read
from benchmarks.record import teams
from benchmarks.record.schema import (
    CASE_KEYS,
    CHOICES,
    DEFAULTS,
    DEVICES,
    DTYPES,
    MODES,
    OPTIONS,
    Column,
    Policies,
    columns_of,
)
from benchmarks.record.shapes import label_of
from benchmarks.stats.effects import Criteria


def add_options(add: Callable[..., Any], *, several_threads: bool = False) -> None:
    """Declare the options that select cases, and how many threads may compute: one number, or several."""
    presets = "; ".join(f"{name}: {preset.summary}" for name, preset in PRESETS.items())
    add(
        "--preset",
        action=Read,
        parse=lambda text: spelling.name(text, PRESETS),
        default="quick",
        metavar="NAME",
        help=f"which ops, modes, types and sizes to measure, unless other options say ({presets}; default: quick)",
    )
    for name, noun in (
        ("op", "ops, which are functions such as gelu, by any of their names (default: the preset's)"),
        (
            "backend",
            "backends, such as numpy or torch (default: all but those that are slow to compile or to call)",
        ),
        ("device", "cpu, cuda, or one GPU of several, such as cuda:1 (default: cpu, and cuda where a driver is)"),
        ("dtype", f"types: {', '.join(DTYPES)} (default: the preset's: float32)"),
        ("size", "numbers of elements, such as 1000000, 1e6 or 1M (default: the preset's)"),
        ("shape", "whole shapes, such as 1024x32000: rows of 32000 for ops along an axis (default: sizes)"),
        ("mode", f"{', '.join(MODES)} (default: the preset's)"),
        *((each.name, f"{each.meaning} (default: {DEFAULTS[each.name]})") for each in _with_values()),
    ):
        add_reading(add, f"--{name}", noun, several=True)
    add(
        "--peers",
        action="store_true",
        help="also measure other libraries; they need pip install 'activation-bench[peers]' (default: not)",
    )
    _add_threads(add, several=several_threads)
    add(
        "--case-timeout",
        type=seconds,
        default=120.0,
        metavar="TIME",
        help="give up a case that does not answer for this long (default: 2min)",
    )


def _with_values() -> Iterator[Column]:
    """Return the policies that have a few values: all but the team."""
    return (each for each in columns_of(Policies) if each.name in CHOICES)


def add_reading(
    add: Callable[..., Any], option: str, text: str, *, several: bool = False, default: Any = None
) -> None:
    """Declare an option that names a part of a case, such as `--dtype`, and takes every spelling of it.

    It takes one value, or any number of them if `several`.
    """
    parse = PARSERS[option[2:]]
    more = {"nargs": "+", "parse": _listed(option, parse)} if several else {"parse": parse}
    action = _ReadSize if option == "--size" else Read
    add(option, action=action, default=default, metavar=option[2:].upper(), help=text, **more)


class _ReadSize(Read):
    """Sizes, among which a shape stands for itself: see `chosen`."""

    def said(self, text: str, value: Any) -> str:
        """Return that a size was taken for a shape, or what else was taken as meant."""
        if isinstance(value, tuple):
            return f"--size {text} is read as --shape {label_of(value)}"
        return super().said(text, value)


def _add_threads(add: Callable[..., Any], *, several: bool) -> None:
    each = "; with several numbers, each case is measured under each" * several
    add(
        "--threads",
        action="extend" if several else "store",
        nargs="+" if several else 1,
        type=_listed("--threads", positive) if several else positive,
        metavar="N",
        help=f"threads a CPU backend may use{each} (default: as many as physical cores)",
    )


def _listed(option: str, parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return `parse` for an option that takes a list, and so took a folder that was meant as what comes next."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except argparse.ArgumentTypeError as error:
            if _exists(text.partition("::")[0]):
                raise argparse.ArgumentTypeError(
                    f"{error}; {option} takes all that follows it: write {text} before {option}"
                ) from None
            raise

    return parsed


def _exists(place: str) -> bool:
    with suppress(OSError):  # a name too long for a file
        return Path(place).exists()
    return False


def add_margin(add: Callable[..., Any], *names: str) -> None:
    """Declare the least difference that a verdict speaks of; `--margin` goes by other `names` too."""
    add(
        "--margin",
        *names,
        type=fraction,
        default=Criteria.threshold,
        metavar="SHARE",
        help="the least difference that counts, such as 5%% or 0.05 (default: 5%%)",
    )


def add_filters(add: Callable[..., Any]) -> None:
    """Declare the options that choose among records: any value that some record has, in any spelling of it."""
    for name, option in OPTIONS.items():
        what = "number of threads" if name == "team" else option[2:]
        text = f"only cases with this {what}; may be repeated (default: all)"
        if name == "team":
            add_filter(add, option, text, dest=name, type=team)
        else:
            add_filter(add, option, text, dest=name, action=Read, parse=partial(_recorded, PARSERS[name]))


def add_filter(add: Callable[..., Any], option: str, text: str, **more: Any) -> None:
    """Declare one option that takes any number of values; `more` are arguments of argparse."""
    add(option, nargs="+", metavar=option[2:].upper(), help=text, **{"action": "extend", **more})


def _recorded(parse: Callable[[str], Any], text: str) -> str:
    """Parse what a record may hold: a valid value, or one that is known to the record's own installation alone."""
    try:
        return spelling.shown(parse(text))
    except argparse.ArgumentTypeError:
        return given(text)


def filters(option: argparse.Namespace) -> dict[str, list[Any]]:
    """Return the values that were asked for, by column, as `records.only_with` takes them."""
    return {name: chosen for name in CASE_KEYS if (chosen := getattr(option, name))}


def contradiction(option: argparse.Namespace) -> str | None:
    """Return why a backend that was asked for cannot be measured here as asked, if one cannot."""
    for name in option.backend or ():
        if reason := backends.missing(name):
            return f"--backend: {reason}"
        devices = backends.declarations()[name].devices
        if option.device and not set(map(kind_of, option.device)) & set(devices):
            return f"--device: {name} runs on {', '.join(devices)}; got {', '.join(option.device)}"
    return _against_graphs(option) if "graph" in (option.launch or ()) else None


def _against_graphs(option: argparse.Namespace) -> str | None:
    """Return why no graphs can be measured as asked, if none can."""
    devices = chosen(option).devices
    if all(device == "cpu" for device in devices):
        return (
            "--launch: graph is for a device that replays graphs, such as --device cuda; the CPU has eager alone"
        )
    if option.device and "cpu" in devices and "eager" not in option.launch:
        return "--launch: the CPU has eager alone; name eager too, or leave out --device cpu"
    if "reuse" not in (option.allocation or ()):
        given = ", ".join(option.allocation or (DEFAULTS["allocation"],))
        return f"--launch: a graph writes the same output each time, so it needs --allocation reuse; got {given}"
    return None


def chosen(option: argparse.Namespace) -> Selection:
    """Return what the command line selects."""
    from benchmarks.machine.resources import cuda_driver_present  # late: commands that read runs ask no machine

    devices = option.device or (["cpu", "cuda"] if cuda_driver_present() else ["cpu"])
    sizes = _unique(option.size)
    return Selection(
        preset=option.preset,
        ops=_unique(option.op),
        backends=_backends(option),
        devices=_unique(devices),
        dtypes=_unique(option.dtype),
        sizes=tuple(each for each in sizes if isinstance(each, int)),
        whole_shapes=_unique([*(each for each in sizes if isinstance(each, tuple)), *(option.shape or ())]),
        modes=_unique(option.mode),
        policies=_policies(option),
    )


def _policies(option: argparse.Namespace) -> tuple[Policies, ...]:
    """Return every combination of the policies that were asked for, and of the usual ones of the others."""
    asked = {name: _unique(getattr(option, name)) for name in CHOICES} | {"team": _teams(option)}
    chosen = [asked[name] or (usual,) for name, usual in DEFAULTS.items()]
    return tuple(Policies(**dict(zip(DEFAULTS, values, strict=True))) for values in product(*chosen))


def _backends(option: argparse.Namespace) -> tuple[str, ...]:
    """Return the backends that were named and all candidates, or the usual ones; and peers where asked for."""
    named = _unique([*option.backend, *backends.candidate_names()] if option.backend else None)
    return _unique([*(named or backends.names()), *backends.peer_names()]) if option.peers else named


def threads(option: argparse.Namespace) -> int:
    """Return how many threads a CPU backend may use: of several numbers, the largest."""
    from benchmarks.machine.resources import default_threads  # late, as above

    numbers: list[int] = option.threads or [default_threads()]
    return max(numbers)


def _teams(option: argparse.Namespace) -> tuple[str, ...]:
    """Return the teams to measure under, in ascending size; none, for the usual one, unless there are several."""
    sizes = sorted(set(option.threads or ()))
    return tuple(map(teams.label_of, sizes)) if len(sizes) > 1 else ()


def team(text: str) -> str:
    """Parse a number of threads, as in `--threads 2`, that a case was measured under; return its team."""
    try:
        return teams.parse_team(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def given(text: str) -> str:
    """Parse the name of a run, a revision or the like: any but an empty one, as an unset variable makes it."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty: is a variable unset?")
    return text


def path(text: str) -> Path:
    """Parse the path of a file or folder, which may not be empty either: that would be the current folder."""
    return Path(given(text))


def positive(text: str) -> int:
    """Parse a whole number, at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1; got {text!r}")
    return int(text)


def seed(text: str) -> int:
    """Parse a whole number, at least 0."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 0; got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Parse a time such as 30s, 5min or 1h; return seconds."""
    match = re.fullmatch(r"([0-9.]+)\s*(s|min|h)?", text)
    try:
        value = float(match[1]) if match else 0.0
    except ValueError:
        value = 0.0
    if not match or value <= 0:
        raise argparse.ArgumentTypeError(f"must be a time such as 30s, 5min or 1h; got {text!r}")
    return value * {"s": 1, None: 1, "min": 60, "h": 3600}[match[2]]


def fraction(text: str) -> float:
    """Parse a share such as 5% or 0.05; return it as a number between 0 and 1."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be a share such as 5% or 0.05; got {text!r}")
    return value


def ulp(text: str) -> float:
    """Parse an error in units of the last place, at least 0, or `inf`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"must be an error in ULP, at least 0, or inf; got {text!r}")
    return value


def _unique(values: list[Any] | None) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values or ()))


def op_name(text: str) -> str:
    """Parse an op's name, any that it goes by; return the one in the catalogue."""
    return spelling.name(text, OPS, ALIASES)


def backend_name(text: str) -> str:
    """Parse the name of a backend, those on request and other libraries included."""
    return spelling.name(text, backends.names(on_request=True), spelling.OTHER_BACKENDS, spelling.NO_BACKENDS)


def device(text: str) -> str:
    """Parse a device that some backend declares, or, as in `cuda:1`, one GPU of several."""
    declared = backends.declarations().values()
    kinds = dict.fromkeys((*DEVICES, *(kind for each in declared for kind in each.devices)))
    kind, colon, index = text.partition(":")
    found = spelling.name(kind, kinds, spelling.OTHER_DEVICES, spelling.NO_DEVICES)
    if not colon:
        return found
    if found == "cpu" or not index.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a kind of device, or a GPU's number as in cuda:1; got {text!r}")
    return f"{found}:{int(index)}"


def dtype(text: str) -> str:
    """Parse a type's name, also a short one such as `bf16`."""
    return spelling.name(text, DTYPES, spelling.OTHER_DTYPES)


def mode(text: str) -> str:
    """Parse a mode, also a short one such as `fwd`."""
    return spelling.name(text, MODES, spelling.OTHER_MODES)


def size(text: str) -> int:
    """Parse a number of elements such as 1000000, 1e6, 1M or 1Mi (1,048,576)."""
    value = _amount(text)
    if value is None or value < 1 or value != int(value):
        near = _commas(text) if value is None else f"; the nearest is {max(1, math.floor(value + 0.5))}"
        raise argparse.ArgumentTypeError(f"must be a whole number of elements, at least 1; got {text!r}{near}")
    return int(value)


def size_or_shape(text: str) -> int | tuple[int, ...]:
    """Parse a number of elements, or a shape, which has an x between its numbers."""
    return shape(text) if len(re.split("[x×]", text.lower())) > 1 else size(text)


def shape(text: str) -> tuple[int, ...]:
    """Parse a shape such as 1024x32000, of whole numbers of at least 1."""
    try:
        return tuple(map(size, re.split("[x×]", text.lower())))
    except argparse.ArgumentTypeError:
        numbers = [number for number in re.findall(r"\d+", text) if int(number)]
        near = f"; did you mean {'x'.join(numbers)}?" if len(numbers) > 1 else ""
        raise argparse.ArgumentTypeError(
            f"must be whole numbers, at least 1, such as 1024x32000; got {text!r}{near}"
        ) from None


def memory(text: str) -> int:
    """Parse an amount of memory such as 64MiB, 1.5GB or 0; return bytes."""
    value = _amount(re.sub("B$", "", text, flags=re.IGNORECASE))
    if value is None or value < 0:
        raise argparse.ArgumentTypeError(f"must be an amount of memory, such as 64MiB or 1.5GB; got {text!r}")
    return math.floor(value)


def _amount(text: str) -> float | None:
    """Return a finite number, which may end in a unit such as k, M, Ki or Mi; None for any other text."""
    match = re.fullmatch(r"(.*?)([kmg]?)(i?)", text.lower())
    assert match is not None  # it matches any line
    base = 1024 if match[3] else 1000
    try:
        value = float(match[1]) * base ** " kmg".index(match[2] or " ")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _commas(text: str) -> str:
    """Return what numbers with commas may mean: one with its digits in groups, as in our tables, or a shape."""
    if re.fullmatch(r"\d{1,3}(,\d{3})+", text):
        return f"; did you mean {text.replace(',', '')}?"
    return f"; a shape is written {text.replace(',', 'x')}" if re.fullmatch(r"\d+(,\d+)+", text) else ""


PARSERS: Mapping[str, Callable[[str], Any]] = {
    "op": op_name,
    "backend": backend_name,
    "device": device,
    "dtype": dtype,
    "size": size_or_shape,
    "shape": shape,
    "mode": mode,
    **{policy: partial(spelling.name, names=values) for policy, values in CHOICES.items()},
}
"""How each part of a case is read, by the name of its option."""
