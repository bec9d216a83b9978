"""The machine: a fingerprint that tells runs of different machines apart, and the number of threads to use."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

BUSY = 0.1
"""Share of the processors in use by others from which a run is called doubtful."""
_GOVERNOR = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
_PACKAGES = ("numpy", "scipy", "numba", "jax", "jaxlib", "torch", "pandas", "pytest", "pytest-benchmark")


def default_threads() -> int:
    """Return the number of physical cores that this process may use."""
    allowed = len(os.sched_getaffinity(0))
    physical = psutil.cpu_count(logical=False) or allowed
    return max(1, min(allowed, physical))


def cuda_driver_present() -> bool:
    """Tell whether this machine has an NVIDIA driver, without importing a framework."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()


def warnings(busy: float) -> list[str]:
    """Return, in plain words, what makes times doubtful; `busy` is the share of the CPUs in use before the run."""
    found = []
    if busy > BUSY:
        found.append(
            f"Other programs used {busy:.0%} of the processors when the run began: times are doubtful, above all "
            "those of backends with several threads."
        )
    if (governor := _first_line(_GOVERNOR)) not in (None, "performance"):
        found.append(f"The processor's frequency governor is {governor!r}: speed may change during the run.")
    return found


def busy_share() -> float:
    """Return the share of all processors that is in use now, over half a second."""
    return float(psutil.cpu_percent(interval=0.5)) / 100


def fingerprint(threads: int) -> dict[str, Any]:
    """Return what identifies the machine and its libraries; no host or user name.

    `machine_id` is a hash of the hardware and operating system alone, and so survives an upgrade of a library.
    """
    import cpuinfo  # takes a second: only when a run is recorded

    cpu = cpuinfo.get_cpu_info()
    hardware = {
        "cpu": cpu.get("brand_raw", platform.processor() or "unknown"),
        "architecture": platform.machine(),
        "cores": psutil.cpu_count(logical=False),
        "logical_cpus": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
    }
    return {
        "machine_id": hashlib.sha256(repr(sorted(hardware.items())).encode()).hexdigest()[:12],
        **hardware,
        "l2_cache_bytes": cpu.get("l2_cache_size"),
        "l3_cache_bytes": cpu.get("l3_cache_size"),
        "vector_extensions": ", ".join(
            f for f in ("avx", "avx2", "avx512f", "neon", "sve") if f in cpu.get("flags", ())
        ),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "threads": threads,
        "cpus_allowed": len(os.sched_getaffinity(0)),
        "governor": _first_line(_GOVERNOR),
        "load_average_1min": round(os.getloadavg()[0], 2),
        "packages": _versions(),
    }


def without_volatile(machine_info: dict[str, Any]) -> None:
    """Remove from pytest-benchmark's `machine_info` what differs between runs of one machine, and its name.

    The current clock rate changes every time and would make every comparison warn.
    """
    machine_info.pop("node", None)
    cpu = machine_info.get("cpu", {})
    for key in [key for key in cpu if key.startswith("hz_actual")]:
        del cpu[key]


def _versions() -> Mapping[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _first_line(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return None
