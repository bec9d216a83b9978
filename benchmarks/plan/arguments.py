"""What is measured, from a command line: options that pytest and our own commands share.

They are declared through `add`, which is pytest's `addoption` or argparse's `add_argument`: both take the same.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import backends
from backends.catalogue import find
from benchmarks.plan.presets import PRESETS
from benchmarks.plan.selection import Selection
from benchmarks.record import teams
from benchmarks.record.schema import CASE_KEYS, CHOICES, DEFAULTS, DEVICES, DTYPES, MODES, OPTIONS, Policies
from benchmarks.record.shapes import parse_shape
from benchmarks.stats.effects import Criteria


def add_options(add: Callable[..., Any], *, several_threads: bool = False) -> None:
    """Declare the options that select cases, and how many threads may compute: one number, or several."""
    presets = "; ".join(f"{name}: {preset.summary}" for name, preset in PRESETS.items())
    add("--preset", default="quick", choices=tuple(PRESETS), help=f"what to run ({presets})")
    for option, parse, noun in (
        ("--op", op_name, "an op's name"),
        ("--backend", _backend, "a backend's name"),
        ("--device", _one_of(DEVICES), " or ".join(DEVICES)),
        ("--dtype", _one_of(DTYPES), " or ".join(DTYPES)),
        ("--size", size, "a number of elements, such as 1000000 or 1e6"),
        ("--shape", shape, "a whole shape, such as 1024x32000: rows of 32000 for ops along an axis"),
        ("--mode", _one_of(MODES), " or ".join(MODES)),
        *((f"--{policy}", _one_of(choices), " or ".join(choices)) for policy, choices in CHOICES.items()),
    ):
        add(
            option,
            action="extend",
            nargs="+",
            type=_listed(option, parse),
            metavar=option[2:].upper(),
            help=f"run only these: {noun}; may be repeated",
        )
    add(
        "--peers",
        action="store_true",
        help="also measure other libraries, to compare with; pip install 'activation-bench[peers]'",
    )
    _add_threads(add, several=several_threads)
    add(
        "--case-timeout",
        type=seconds,
        default=120.0,
        metavar="TIME",
        help="give a case up after this (2min)",
    )


def _add_threads(add: Callable[..., Any], *, several: bool) -> None:
    each = "; of several numbers, each is measured" * several
    add(
        "--threads",
        action="extend" if several else "store",
        nargs="+" if several else 1,
        type=_listed("--threads", positive) if several else positive,
        metavar="N",
        help=f"threads a CPU backend may use (default: physical cores){each}",
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
        help="the least change that matters, such as 5%% or 0.05 (5%%)",
    )


def add_filters(add: Callable[..., Any]) -> None:
    """Declare the options that choose among records: any value that some record has."""
    for name, option in OPTIONS.items():
        kind: Callable[[str], str] = team if name == "team" else given
        add_filter(add, option, f"only these, by {option[2:]}; may be repeated", dest=name, type=kind)


def add_filter(add: Callable[..., Any], option: str, text: str, **more: Any) -> None:
    """Declare one option that takes any number of values; `more` are arguments of argparse."""
    add(option, action="extend", nargs="+", metavar=option[2:].upper(), help=text, **more)


def filters(option: argparse.Namespace) -> dict[str, list[Any]]:
    """Return the values that were asked for, by column, as `records.only_with` takes them."""
    return {name: chosen for name in CASE_KEYS if (chosen := getattr(option, name))}


def contradiction(option: argparse.Namespace) -> str | None:
    """Return why a backend that was asked for cannot be measured here as asked, if one cannot."""
    for name in option.backend or ():
        if reason := backends.missing(name):
            return f"--backend: {reason}"
        if option.device and not set(option.device) & set(devices := backends.declarations()[name].devices):
            return f"--device: {name} runs on {', '.join(devices)}; got {', '.join(option.device)}"
    return None


def chosen(option: argparse.Namespace) -> Selection:
    """Return what the command line selects."""
    from benchmarks.machine.resources import cuda_driver_present  # late: commands that read runs ask no machine

    devices = option.device or (["cpu", "cuda"] if cuda_driver_present() else ["cpu"])
    return Selection(
        preset=option.preset,
        ops=_unique(option.op),
        backends=_backends(option),
        devices=_unique(devices),
        dtypes=_unique(option.dtype),
        sizes=_unique(option.size),
        whole_shapes=_unique(option.shape),
        modes=_unique(option.mode),
        policies=_policies(option),
    )


def _policies(option: argparse.Namespace) -> tuple[Policies, ...]:
    """Return every combination of the policies that were asked for, and of the usual ones of the others."""
    asked = {name: _unique(getattr(option, name)) for name in CHOICES} | {"team": _teams(option)}
    chosen = [asked[name] or (usual,) for name, usual in DEFAULTS.items()]
    return tuple(Policies(**dict(zip(DEFAULTS, values, strict=True))) for values in product(*chosen))


def _backends(option: argparse.Namespace) -> tuple[str, ...]:
    """Return the backends that were named, or the usual ones, and all peers where they are asked for."""
    named = _unique(option.backend)
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


def _one_of(choices: tuple[str, ...]) -> Any:
    def parse(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"unknown name {text!r}; valid names: {', '.join(choices)}")
        return text

    return parse


def op_name(text: str) -> str:
    """Parse an op's name, any that it goes by; return the one in the catalogue."""
    try:
        return find(text).name
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _backend(text: str) -> str:
    return str(_one_of(backends.names(on_request=True))(text))


def size(text: str) -> int:
    """Parse a number of elements such as 1000000 or 1e6."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not (math.isfinite(value) and value >= 1 and value == int(value)):
        raise argparse.ArgumentTypeError(f"must be a whole number of elements, at least 1; got {text!r}")
    return int(value)


def shape(text: str) -> tuple[int, ...]:
    """Parse a shape such as 1024x32000, of whole numbers of at least 1."""
    try:
        found = parse_shape(text)
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise argparse.ArgumentTypeError(f"must be whole numbers, at least 1, such as 1024x32000; got {text!r}")
    return found
