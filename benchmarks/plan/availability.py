"""Whether what was asked for by name is there: devices, and backends that only a start can tell of."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import backends
from benchmarks import processes
from benchmarks.machine import guardian
from benchmarks.plan import arguments, selection

KILLED_S = 5.0
"""What was killed has so long to end."""
_TRY = """
import sys
from {own} import load
from {processes} import answer_to
answer_to("backends", "{own}")
try:
    load(*sys.argv[1:])
except Exception as error:
    sys.exit(" ".join(str(error).split()))
"""


def missing(option: argparse.Namespace) -> str | None:
    """Return why a device or backend that was asked for by name cannot be used, and what to do; None if all can.

    Devices other than the CPU are tried on each backend to be measured there, as are candidates, and backends that
    are measured on request alone: in processes of their own, each of which imports a framework. Of the others it
    is enough that their packages are installed (`arguments.contradiction`).
    """
    places = list(_places(option))
    found = dict(zip(places, _tried(places, option.case_timeout), strict=True))
    reasons = [reason for reason in found.values() if reason]
    if not reasons:
        return next(_devices_of_none(option, places), None)
    there = dict.fromkeys(backend for (backend, _), reason in found.items() if not reason)
    devices = " ".join(dict.fromkeys(device for (_, device), reason in found.items() if reason))
    if broken := [
        reason for (backend, _), reason in found.items() if reason and backend in backends.candidate_names()
    ]:
        return f"--candidate: {'; '.join(dict.fromkeys(broken))}"
    remedy = (
        f"name those that have it: --backend {' '.join(there)}"
        if there and not option.backend
        else f"leave out --device {devices}, or see docs/install.md"
        if option.device
        else "see docs/install.md"
    )
    return f"{'--device' if option.device else '--backend'}: {'; '.join(reasons)}; {remedy}"


def _places(option: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield the backends and devices that must be tried."""
    usual, candidates = backends.names(), backends.candidate_names()
    for backend, device in selection.places(arguments.chosen(option)):
        by_device = device != "cpu" and device in (option.device or ())
        by_name = backend in (option.backend or ()) and backend not in usual
        if (by_device or by_name or backend in candidates) and backends.missing(backend) is None:
            yield backend, device


def _devices_of_none(option: argparse.Namespace, places: list[tuple[str, str]]) -> Iterator[str]:
    """Yield that no backend could even try a device."""
    for device in option.device or ():
        if device != "cpu" and device not in {device for _, device in places}:
            yield f"--device: no installed backend runs on {device}; see docs/install.md"


def _tried(places: list[tuple[str, str]], timeout_s: float) -> Iterator[str]:
    """Yield, for each place, why it cannot be used; empty where it can. All are tried at once."""
    code = _TRY.format(own=backends.__name__, processes=processes.__name__)
    running = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", code, *place],
            env=processes.environment() | guardian.marked(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        for place in places
    ]
    for (backend, device), process in zip(places, running, strict=True):
        try:
            _, said = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            with suppress(subprocess.TimeoutExpired):  # one that the system cannot end, or whose child writes on
                process.communicate(timeout=KILLED_S)
            yield f"{backend} on {device}: gave no answer within {timeout_s:g} s"
            continue
        lines = said.strip().splitlines() or [f"{backend} on {device}: ended with {process.returncode}"]
        yield lines[-1] if process.returncode else ""
