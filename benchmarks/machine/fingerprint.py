"""The fingerprint: what identifies a machine and its libraries; no user's name, and no host's in the clear."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.machine import environment, gpus
from benchmarks.machine.gpus import Gpu
from benchmarks.machine.resources import last_level_cache_bytes

PACKAGES = ("numpy", "scipy", "numba", "jax", "jaxlib", "torch", "pandas", "pytest", "pytest-benchmark")
"""Packages whose versions identify an environment."""


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What identifies a machine and its libraries, and how it was set up; no user's name, no host's in the clear.

    `machine_id` is a hash of the hardware, GPUs included, and operating system alone, and so survives an upgrade
    of a library or driver. Equal machines have the same: `host` tells them apart (see `host.identity`).
    What the system does not tell is None.
    """

    machine_id: str
    host: str | None
    cpu: str
    architecture: str
    cores: int | None
    logical_cpus: int | None
    memory_gib: int
    system: str
    l2_cache_bytes: int | None
    l3_cache_bytes: int | None
    last_level_cache_bytes: int | None
    vector_extensions: str
    kernel: str
    python: str
    threads: int
    cpus_allowed: int
    cpu_quota: float | None
    memory_limit_bytes: int | None
    virtual_machine: bool | None
    governor: str | None
    boost: bool | None
    transparent_huge_pages: str | None
    swap_used_bytes: int
    gpus: Sequence[Gpu] | None
    load_average_1min: float
    packages: Mapping[str, str]


def fingerprint(threads: int, host: str | None = None) -> Fingerprint:
    """Return the fingerprint of this machine, which goes by `host`, for a run of `threads` threads."""
    import cpuinfo  # takes a second: only when a run is recorded

    cpu = cpuinfo.get_cpu_info()
    flags = cpu.get("flags", ())
    name = cpu.get("brand_raw", platform.processor() or "unknown")
    cores, logical_cpus = psutil.cpu_count(logical=False), psutil.cpu_count()
    memory_gib = round(psutil.virtual_memory().total / 2**30)
    hardware: dict[str, object] = {
        "cpu": name,
        "architecture": platform.machine(),
        "cores": cores,
        "logical_cpus": logical_cpus,
        "memory_gib": memory_gib,
        "system": platform.system(),
    }
    if models := gpus.models():  # a machine without any keeps the name that it always had
        hardware["gpus"] = models
    return Fingerprint(
        machine_id=hashlib.sha256(repr(sorted(hardware.items())).encode()).hexdigest()[:12],
        host=host,
        cpu=name,
        architecture=platform.machine(),
        cores=cores,
        logical_cpus=logical_cpus,
        memory_gib=memory_gib,
        system=platform.system(),
        l2_cache_bytes=cpu.get("l2_cache_size"),
        l3_cache_bytes=cpu.get("l3_cache_size"),
        last_level_cache_bytes=last_level_cache_bytes(),
        vector_extensions=", ".join(each for each in ("avx", "avx2", "avx512f", "neon", "sve") if each in flags),
        kernel=platform.release(),
        python=platform.python_version(),
        threads=threads,
        cpus_allowed=environment.processors_allowed(),
        cpu_quota=environment.cpu_quota(),
        memory_limit_bytes=environment.memory_limit_bytes(),
        # Only x86 processors say so.
        virtual_machine="hypervisor" in flags if "sse2" in flags else None,
        governor=environment.governor(),
        boost=environment.boost(),
        transparent_huge_pages=environment.huge_pages(),
        swap_used_bytes=environment.swap_used_bytes(),
        gpus=gpus.gpus(),
        load_average_1min=round(os.getloadavg()[0], 2),
        packages=_versions(),
    )


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
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
