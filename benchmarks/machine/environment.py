"""The environment: what the system says of limits set for this process, and of its processors and memory.

Everything here only reads, and None stands for what cannot be read. Paths can be passed, so that tests need no
machine of the kind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from warnings import catch_warnings

SYSTEM = Path("/")
_GOVERNOR = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
_BOOST = "sys/devices/system/cpu/cpufreq/boost"
_NO_TURBO = "sys/devices/system/cpu/intel_pstate/no_turbo"
_HUGE_PAGES = "sys/kernel/mm/transparent_hugepage/enabled"
_CACHES = "sys/devices/system/cpu/cpu0/cache"
_UNLIMITED = 2**60
"""The first version of control groups writes "no limit" as a number near 2^63."""


def first_line(path: Path) -> str | None:
    """Return a file's first line; None where there is no such file, or it is empty or not to be read."""
    try:
        return path.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, UnicodeDecodeError, IndexError):
        return None


def governor(root: Path = SYSTEM) -> str | None:
    """Return what decides the processor's frequency, such as `performance`."""
    return first_line(root / _GOVERNOR)


def boost(root: Path = SYSTEM) -> bool | None:
    """Tell whether the processor may exceed its base frequency for a while."""
    if (no_turbo := first_line(root / _NO_TURBO)) is not None:
        return no_turbo == "0"
    allowed = first_line(root / _BOOST)
    return None if allowed is None else allowed == "1"


def huge_pages(root: Path = SYSTEM) -> str | None:
    """Return when the kernel uses huge pages of its own accord: `always`, `madvise` or `never`."""
    # The line names all three, the one chosen in brackets.
    return next((word[1:-1] for word in (first_line(root / _HUGE_PAGES) or "").split() if word[0] == "["), None)


def last_level_cache_bytes(root: Path = SYSTEM) -> int | None:
    """Return the size of the first processor's last-level data cache in bytes."""
    found = {}
    for cache in (root / _CACHES).glob("index*"):
        level, size = first_line(cache / "level"), first_line(cache / "size")
        if level and size and size.endswith("K") and first_line(cache / "type") != "Instruction":
            found[int(level)] = int(size[:-1]) * 1024
    return found[max(found)] if found else None


def cpu_quota(root: Path = SYSTEM) -> float | None:
    """Return how many processors' time the container may use, such as 1.5; None where it has no limit."""
    quotas = []
    for group in _groups("cpu", root):
        modern = (first_line(group / "cpu.max") or "max").split()
        legacy = [first_line(group / f"cpu.cfs_{name}_us") or "-1" for name in ("quota", "period")]
        for quota, *period in (modern, legacy):
            if quota not in {"max", "-1"} and period and int(period[0]) > 0:
                quotas.append(int(quota) / int(period[0]))
    return min(quotas, default=None)


def memory_limit_bytes(root: Path = SYSTEM) -> int | None:
    """Return how much memory the container may use; None where it has no limit."""
    return min((limit for _, limit in _memory_limits(root)), default=None)


def memory_left_bytes(root: Path = SYSTEM) -> int | None:
    """Return how much memory the container may still take; None where it has no limit.

    Pages of files that were not used lately count as free: the kernel drops them first.
    """
    left = []
    for group, limit in _memory_limits(root):
        used = first_line(group / "memory.current") or first_line(group / "memory.usage_in_bytes")
        stat = counters(group / "memory.stat")
        left.append(limit - int(used or 0) + stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return max(0, min(left)) if left else None


def container_oom_kills(root: Path = SYSTEM) -> int:
    """Return how many processes of this process's container were ended because memory ran out."""
    for group in _groups("memory", root):
        for name in ("memory.events", "memory.oom_control"):
            if (kills := counters(group / name).get("oom_kill")) is not None:
                return kills
    return 0


def counters(path: Path) -> dict[str, int]:
    """Return a file of lines such as `oom_kill 3` as a mapping; empty where it cannot be read."""
    try:
        pairs = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return {}
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def processors() -> list[int]:
    """Return the processors that this process may use: all of them where the system knows no affinity."""
    return (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    )


def processors_allowed() -> int:
    """Return how many processors this process may use."""
    return len(processors())


def swap_used_bytes() -> int:
    """Return how much was moved from memory to disk."""
    import psutil  # late, here and below: few ask, and commands that read a run start sooner

    with catch_warnings(action="ignore"):  # of missing rates, which are not asked for
        return int(psutil.swap_memory().used)


def on_battery() -> bool | None:
    """Tell whether the machine runs on its battery; None without one."""
    import psutil

    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return None if battery is None or battery.power_plugged is None else not battery.power_plugged


def clock_mhz() -> float | None:
    """Return the clock rate of the fastest processor now: the others may be idle."""
    import psutil

    try:
        rates = psutil.cpu_freq(percpu=True) or []
    except (AttributeError, NotImplementedError, OSError):
        return None
    return max((rate.current for rate in rates), default=None)


def _memory_limits(root: Path) -> Iterator[tuple[Path, int]]:
    for group in _groups("memory", root):
        limit = first_line(group / "memory.max") or first_line(group / "memory.limit_in_bytes") or "max"
        if limit != "max" and int(limit) < _UNLIMITED:
            yield group, int(limit)


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups, each before the one around it.

    A limit holds for all that is inside. A container often sees the path that its group has on the host, and only
    the folders around it: those that do not exist say nothing.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # the second version has one tree for all controllers
            base = mounts / "unified" if (mounts / "unified").is_dir() else mounts
        elif controller in controllers.split(","):
            base = mounts / controllers if (mounts / controllers).is_dir() else mounts / controller
        else:
            continue
        inner = base / path.lstrip("/")
        yield from (group for group in (inner, *inner.parents) if group.is_relative_to(base))
