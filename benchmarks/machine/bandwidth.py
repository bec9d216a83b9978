"""Bandwidth: how fast this machine moves bytes, the limit that a memory-bound op can reach.

`python -m benchmarks.machine.bandwidth THREADS` measures the host and prints JSON. Each measurement is made in a
process of its own that imports NumPy alone, so that no other library's thread pool occupies the cores. Bytes count
as in a record: each read once and each written once.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from threading import Barrier
from time import perf_counter
from typing import Any, Literal, cast

import numpy as np
from numpy.lib.stride_tricks import as_strided

from benchmarks import processes
from benchmarks.machine import guardian
from benchmarks.machine.limit import Bandwidth, Kind
from benchmarks.machine.waking import WAKE_CALLS, WAKE_MOST_S

Stores = Literal["plain", "streaming"]
Array = np.ndarray[Any, np.dtype[Any]]
Repeat = Callable[[int], object]
"""Moves the same bytes this many times, in NumPy's own loop and without the interpreter's lock."""

LADDER = tuple(4**k for k in range(6, 15))
"""Bytes moved a call, 4 KiB to 256 MiB: from the first-level cache to memory."""
DEVICE_LADDER = tuple(4**k for k in range(8, 17))
"""The same for a device, 64 KiB to 4 GiB: beyond what most cases move. Less is limited by launches alone."""
LAUNCHED = 2
"""A copy that takes less than twice as long as the quickest is limited by its launch, and not by what it moves."""
N_PASSES = 3
"""The ladder is climbed three times: what disturbs the machine for a moment then spoils no size."""
N_ROUNDS = 3
ROUND_S = 2e-3
"""Seconds of a round: long against the 20 to 50 µs by which threads start apart."""
STREAMING_FROM = 0x4041
"""Bytes of the smallest copy that glibc can be told to stream: it refuses 0x4040 and less (its dl-cacheinfo.h)."""
APART_S = 120.0
"""Whoever has not measured in this time, where twenty seconds are long, is stopped, or does something else."""
_THRESHOLDS: dict[Stores, int] = {"plain": 0xFFFFFFFFFFFFFFF, "streaming": STREAMING_FROM}
_WARM_UP_BYTES = 2e7
_UNLOCKED = 501
"""Elements from which on NumPy copies without the interpreter's lock (NPY_BEGIN_THREADS_THRESHOLDED)."""
_LINE, _PAGE = 64, 4096
_SEARCH_FROM = 2**21
"""Bytes from which on a search reads faster than a reduction: 44 against 35 GB/s with one thread at 16 MiB."""


def _memchr() -> Callable[[int, int, int], object] | None:
    """Return the C library's `memchr(address, byte, bytes)`; None where it cannot be called by name."""
    try:
        found = ctypes.CDLL(None).memchr
    except (AttributeError, OSError, TypeError):
        return None
    found.restype, found.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    return cast("Callable[[int, int, int], object]", found)


_search = _memchr()


def fastest(measured: Sequence[Bandwidth]) -> Bandwidth:
    """Return the fastest of several measurements at the same sizes: what disturbs one makes it slower."""
    first = measured[0]
    copy, read = (  # a device whose reading failed once has none that time
        tuple(map(max, zip(*rates, strict=True)))
        for rates in ([m.copy for m in measured], [m.read for m in measured if m.read])
    )
    return Bandwidth(first.n_bytes, copy, read, first.stores)


def steps(largest: float) -> tuple[int, ...]:
    """Return the part of the ladder that holds calls which move up to `largest` bytes."""
    last = min([n for n in LADDER if n >= largest], default=LADDER[-1])
    return tuple(n for n in LADDER if n <= last)


def measure_host(threads: int, ladder: Sequence[int] = LADDER) -> Bandwidth:
    """Measure the host with one thread and with `threads`; the better of the two is the limit.

    Takes some 3 s for all of `LADDER`, most of them for its upper end.

    Copies are measured with plain stores and with streaming (non-temporal) ones, which go past the caches. glibc
    on x86-64 can be told which to use: elsewhere all copies are the C library's own choice and are called plain.
    Raises subprocess.CalledProcessError if a measuring process fails.
    """
    plain = _measure_apart(threads, "plain", ladder)
    copies = {n: (rate, "plain") for n, rate in plain["copy"]}
    if platform.libc_ver()[0] == "glibc" and platform.machine() == "x86_64":
        streaming = _measure_apart(threads, "streaming", ladder)
        copies |= {n: max(copies[n], (rate, "streaming")) for n, rate in streaming.get("copy", ())}
    copy, stores = zip(*(copies[n] for n in ladder), strict=True)
    # Half of what a copy moves it reads: in the first-level cache, faster than NumPy's best reduction does.
    read = tuple(max(rate, copied / 2) for (_, rate), copied in zip(plain["read"], copy, strict=True))
    return Bandwidth(tuple(ladder), copy, read, stores)


def from_seconds(
    copies: Sequence[float], reads: Sequence[float] = (), ladder: Sequence[int] = DEVICE_LADDER
) -> Bandwidth | None:
    """Return a device's bandwidth from the seconds that a copy, and a read, take at each size of `ladder`.

    A size that is limited by its launch (`LAUNCHED`) has the rate of the smallest that is not: what such a launch
    moves is no limit of the memory. One that failed (infinite seconds) has that of the next smaller one. None
    where all copies failed. Reads are at least as fast as copies, which read too; without any, `read` is empty.
    """
    copy, read = (_moving(seconds, ladder) if seconds else () for seconds in (copies, reads))
    if not copy:
        return None
    return Bandwidth(tuple(ladder), copy, tuple(map(max, copy, read)) if read else (), ("",) * len(ladder))


def _moving(seconds: Sequence[float], ladder: Sequence[int]) -> tuple[float, ...]:
    """Return the GB/s at each size of `ladder`; nothing where all failed."""
    known = {n: s for n, s in zip(ladder, seconds, strict=True) if math.isfinite(s)}
    if not known:
        return ()
    least = LAUNCHED * min(known.values())
    moving = {n: s for n, s in known.items() if s >= least} or {max(known): known[max(known)]}
    counts = [max((n for n in moving if n <= size), default=min(moving)) for size in ladder]
    return tuple(n / moving[n] / 1e9 for n in counts)


def room(ladder: Sequence[int], threads: int) -> Array:
    """Return memory, written once and from a page's beginning on, in which up to so many threads move bytes."""
    # Two pages more for each thread: its part begins with a page, and so do both halves of it.
    memory = np.ones(max(ladder) + (2 * threads + 1) * _PAGE, np.uint8)
    return memory[-memory.ctypes.data % _PAGE :]


def rates(kind: Kind, ladder: Sequence[int], threads: int, memory: Array) -> list[float]:
    """Return the GB/s in this process for each number of bytes of `ladder`, with `threads` threads in `memory`.

    It is the median over passes of the fastest round of each, as a case's time is the median over turns of its
    fastest round: otherwise a disturbed limit would be compared with undisturbed kernels.
    """
    step = memory.size // threads // _PAGE * _PAGE
    shares = [memory[i * step :][:step] for i in range(threads)]
    found: dict[int, list[float]] = {n: [] for n in ladder}
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(N_PASSES):
            for n_bytes, seen in found.items():
                # Whole cache lines for each thread: with many threads that can be more than asked for.
                part = max(n_bytes // threads // (2 * _LINE), 1) * 2 * _LINE
                repeats = [_PREPARE[kind](share, part) for share in shares]
                seen.append(part * threads / min(_rounds(pool, repeats, part)) / 1e9)
    return [statistics.median(seen) for seen in found.values()]


def _copies(memory: Array, n_bytes: int) -> Repeat:
    """Return what copies so often that each time moves `n_bytes`."""
    middle, size = memory.size // 2 // _PAGE * _PAGE, n_bytes // 2
    # Half a page further: loads that wait for stores at the same place in a page halve the speed.
    source, target = memory[:size], memory[middle + _PAGE // 2 :][:size]
    # One element as large as the source: NumPy copies each with one memmove. Of smaller elements it would make the
    # repetition the innermost loop, because its stride is 0.
    whole, copied = source.view(f"V{size}"), target.view(f"V{size}")

    def repeat(times: int) -> None:
        if times >= _UNLOCKED:
            np.copyto(as_strided(copied, (times,), (0,)), as_strided(whole, (times,), (0,)))
            return
        for _ in range(times):
            np.copyto(target, source)

    return repeat


def _reads(memory: Array, n_bytes: int) -> Repeat:
    """Return what reads `n_bytes` so often.

    What the caches beyond the second level hold is read fastest by the C library's search for a byte that is not
    there, where there is one to call; a call costs 0.7 µs and gives up the interpreter's lock. None of NumPy's
    reductions was faster at 4 MB and 40 MB than the maximum of integers (29 GB/s with one thread,
    where a sum of float32 made 12), and none lost less between rows than that of int64: 40 ns.
    """
    if n_bytes >= _SEARCH_FROM and _search is not None:
        address, search = memory.ctypes.data, _search
        return lambda times: [search(address, 0, n_bytes) for _ in range(times)]
    row = memory[:n_bytes].view(np.int64)
    return lambda times: np.maximum.reduce(as_strided(row, (times, row.size), (0, row.itemsize)), axis=1)


_PREPARE: dict[Kind, Callable[[Array, int], Repeat]] = {"copy": _copies, "read": _reads}


def _rounds(pool: ThreadPoolExecutor, repeats: Sequence[Repeat], n_bytes: int) -> list[float]:
    """Return the seconds of one repetition in each of some rounds, after as many as wake a case (`waking`).

    A last-level cache of 480 MiB holds what 256 MiB move: otherwise warm kernels would be set against a cold
    limit. What takes as long by itself is measured once more and no oftener: each pass does it again.
    """
    first = _round(pool, repeats, max(1, round(_WARM_UP_BYTES / n_bytes)))
    warm = min(WAKE_CALLS, math.ceil(WAKE_MOST_S / first))
    if warm > 1:
        first = _round(pool, repeats, warm - 1)
    if first >= WAKE_MOST_S:
        return [_round(pool, repeats, 1)]
    times = max(1, round(ROUND_S / first))
    if times > 100:  # 0.3 µs of interpreter in each would show
        times = max(times, _UNLOCKED)
    return [_round(pool, repeats, times) for _ in range(N_ROUNDS)]


def _round(pool: ThreadPoolExecutor, repeats: Sequence[Repeat], times: int) -> float:
    barrier = Barrier(len(repeats))

    def timed(repeat: Repeat) -> tuple[float, float]:
        barrier.wait()
        started = perf_counter()
        repeat(times)
        return started, perf_counter()

    starts, ends = zip(*pool.map(timed, repeats), strict=True)
    return float(max(ends) - min(starts)) / times


def _measure_apart(threads: int, stores: Stores, ladder: Sequence[int]) -> dict[Kind, list[tuple[int, float]]]:
    """Measure in a process whose C library uses `stores` for copies: it is told so when it starts."""
    tunable = f"glibc.cpu.x86_non_temporal_threshold={_THRESHOLDS[stores]:#x}"
    tunables = ":".join(filter(None, [os.environ.get("GLIBC_TUNABLES"), tunable]))
    # NumPy's linear algebra would start threads of its own, which only cost time here.
    environment = processes.environment() | {"GLIBC_TUNABLES": tunables, "OPENBLAS_NUM_THREADS": "1"}
    command = [*processes.command(f"{__package__}.bandwidth"), str(threads), stores, *map(str, ladder)]
    output = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment | guardian.marked(), timeout=APART_S
    ).stdout
    found: dict[Kind, list[tuple[int, float]]] = json.loads(output)
    return found


def _measure_here(threads: int, stores: Stores, ladder: Sequence[int]) -> dict[Kind, list[tuple[int, float]]]:
    """Return the best rate of one thread and of `threads` at each size that copies with `stores` have."""
    smallest = 2 * threads * STREAMING_FROM if stores == "streaming" else 0
    ladder = [n for n in ladder if n >= smallest]
    kinds: tuple[Kind, ...] = ("copy",) if stores == "streaming" else ("copy", "read")
    counts = sorted({1, threads})
    found: dict[Kind, list[tuple[int, float]]] = {}
    # The same for all: to find 256 MiB anew each time would take as long as to copy them.
    memory = room(ladder or [0], threads)
    for kind in kinds if ladder else ():
        by_count = zip(*(rates(kind, ladder, count, memory) for count in counts), strict=True)
        found[kind] = list(zip(ladder, map(max, by_count), strict=True))
    return found


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(json.dumps(asdict(measure_host(int(sys.argv[1])))))
    else:
        sizes = [int(size) for size in sys.argv[3:]]
        print(json.dumps(_measure_here(int(sys.argv[1]), sys.argv[2], sizes)))  # type: ignore[arg-type]
