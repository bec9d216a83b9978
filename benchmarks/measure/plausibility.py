"""Plausibility: what a measurement cannot be, however small its interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.machine import waking
from benchmarks.machine.doubts import BUSY
from benchmarks.machine.limit import Bandwidth
from benchmarks.machine.pulse import LIMIT as DRIFT
from benchmarks.measure.disturbance import Reading
from benchmarks.measure.sampling import MOST_EXACT_S
from benchmarks.quantities import count, seconds
from benchmarks.record.schema import Case, Times, Verdict

IMPOSSIBLE = 1.5
"""A result is refused that is faster by this factor than the next faster cache (`Bandwidth.most`).

Within the last-level cache, which virtual machines share with others, kernels were seen at 1.7 times what copies
of as many bytes reached, several times in a row.
"""
PENDING_CALLS = 0.5
"""A result that takes this many calls longer to fetch at once was not complete when its round ended."""
PENDING_S = 2e-5
"""The delay must be at least this long: fetching a result varies by as much."""
FLAT_GROWTH = 100
FLAT_RATIO = 1.2
"""Time that grows no more than this while the size grows hundredfold is flat."""
MEMORY_RATIO, MEMORY_S = 3.0, 1e-6
"""A first call on new values is slow if it takes three times as long as a later one, and a microsecond more.

Caches and branches are no reason for that: few values are new, and everything else is as the call before left it.
"""
DEFERRED_RATIO, DEFERRED_S, DEFERRED_SHARE = 2.0, 2e-6, 0.5
"""A result is computed when fetched if that takes twice as long as fetching a plain array, and more by 2 µs and by
half a call."""
FAR_BYTES_S = 1.5e10
"""What other threads have written lies in other processors' caches: 64 KiB took 3 us to come, 21 GB/s."""
CLOCK_RATIO = 1.2
"""A clock is wrong if the rounds of every burst take 1.2 times as long by another one, and what is around them."""
MESSAGES_S = 5e-4
"""Two messages, and a process that is let go on and stopped, take 0.1 to 0.3 ms."""
BETWEEN_S = 2e-5
"""Between two rounds 20 us may pass, for which no clock runs: of rounds of one short call, that is half."""
TELLING = 0.28
"""A burst tells of a clock if what is allowed around its rounds is at most this share of them.

So a clock that runs at two thirds of its speed is found by every burst: 1.5 is more than 1.2 and 0.28. Five rounds
of half a millisecond tell, three do not.
"""
RARE, FEW = 0.1, 2
"""A tenth of what was seen of a case, two at least, is left out where it speaks against it most.

Where a hypervisor takes a processor away just before a thread stands still, all that it is away for counts as
that thread's: up to 17 ms were seen. What a case does in a tenth of its bursts or pauses alone does not move its
median.
"""
THREADS_BEYOND = 0.4
"""Beyond the threads allowed, a process may use 40 % of a processor: those that wait for others, or for calls."""
SUBNORMAL = 1e-3
"""From this share on, subnormal numbers show in the time: each can cost 40 times a normal one."""


def is_pending(later_s: float, at_once_s: float, call_s: float) -> bool:
    """Tell whether a result took so much longer to fetch at once than later that work was still going on."""
    return at_once_s - later_s > max(PENDING_CALLS * call_s, PENDING_S)


def remembers(times_s: Sequence[tuple[float, float]]) -> bool:
    """Tell whether first calls on new values take so much longer than later ones that results are remembered.

    `times_s` has a pair for each set of values: the first call, and a later one.
    """
    return bool(times_s) and all(
        first > MEMORY_RATIO * later and first - later > MEMORY_S for first, later in times_s
    )


def far_s(n_bytes: int, threads: int) -> float:
    """Return what a result of so many bytes may take longer to fetch, where that many threads have written it."""
    return n_bytes * (threads - 1) / threads / FAR_BYTES_S


def is_deferred(times_s: Sequence[tuple[float, float]], call_s: float, far_s: float = 0.0) -> bool:
    """Tell whether results take longer to fetch than plain arrays do: they are computed only then.

    `times_s` has a pair for each result: itself, and a plain array of its values. The shortest of each count: what
    disturbs only adds. `call_s` is what a call takes; who defers half of his work gains as much. What other
    threads have written may come `far_s` later.
    """
    if not times_s:
        return False
    result, plain = (min(each) for each in zip(*times_s, strict=True))
    least = max(DEFERRED_S + far_s, DEFERRED_SHARE * call_s)
    return bool(result > DEFERRED_RATIO * plain and result - plain > least)


def tells_of_a_clock(burst: Reading) -> bool:
    """Tell whether a burst is long enough, beside what is allowed around its rounds, to tell a true clock."""
    return _around_s(burst) <= TELLING * sum(burst.rounds)


def clears_a_clock(burst: Reading) -> bool:
    """Tell whether a burst that tells takes no longer by the clock of who asked than is explained.

    What disturbs, such as other programs that have the processor when a message comes, only adds: one burst clears
    its clock. The waking calls count as they are claimed: a slow clock is slow there too.
    """
    return tells_of_a_clock(burst) and is_explained(burst)


def is_explained(burst: Reading) -> bool:
    """Tell whether a burst takes no longer than it claims and is allowed around it."""
    return burst.wall_s <= CLOCK_RATIO * sum(burst.rounds) + _woken_s(burst) + _around_s(burst)


def clock_ratio(burst: Reading) -> float:
    """Return how many times as long the rounds of a burst take by the clock of who asked, with all around them."""
    return (burst.wall_s - _woken_s(burst)) / max(sum(burst.rounds), MOST_EXACT_S)


def _around_s(burst: Reading) -> float:
    """Return the seconds that messages, and pauses between rounds, may take: no clock runs then."""
    n_woken = _woken_s(burst) / max(min(burst.rounds), MOST_EXACT_S)
    return MESSAGES_S + (len(burst.rounds) + n_woken) * BETWEEN_S


def _woken_s(burst: Reading) -> float:
    return min(burst.woken_s, waking.most_s(max(burst.rounds), burst.iterations))


def too_many_threads(used: Iterable[tuple[float, float]], threads: int, *, queued: bool) -> float | None:
    """Return how many processors a case computed with, where those are more than `threads`; else None.

    `used` has a pair for each burst: seconds of processors' time that its threads had or waited for, and seconds.
    Where calls are `queued`, one more thread makes them. Rare bursts are left out (`RARE`).
    """
    most = threads + queued + THREADS_BEYOND
    usual = _without_rare(sorted(used, key=lambda burst: burst[0] - most * burst[1]))
    cpu_s, wall_s = (sum(each) for each in zip((0.0, 0.0), *usual, strict=True))
    share = cpu_s / wall_s if wall_s > 0 else 0.0
    return share if share > most else None


def stirred_s(stops_s: Sequence[float]) -> float:
    """Return for how long a process computed while it was stopped, of the seconds in each of its stops.

    Rare stops are left out (`RARE`).
    """
    return float(sum(_without_rare(sorted(stops_s))))


def _without_rare(ascending: Sequence[Any]) -> Sequence[Any]:
    """Return all but the last tenth, or but the last two where that is more."""
    return ascending[: -max(FEW, int(RARE * len(ascending)))]


def too_fast(times: Times, n_bytes: int, limit: Bandwidth | None, verdicts: Iterable[Verdict]) -> str | None:
    """Return why a case that moves `n_bytes` a call moves more of them than the device can, or None.

    Not even a faster cache is as fast, and the interval does not reach back to what is possible. An output
    that deviates from the definition, in a way that is known, may have needed fewer bytes.
    """
    if limit is None or any(verdict.status == "known_deviation" for verdict in verdicts):
        return None
    fastest = limit.most(n_bytes)
    slowest_rate = n_bytes / times.ci95_high_s / 1e9
    if slowest_rate <= IMPOSSIBLE * fastest:
        return None
    return (
        f"{seconds(times.median_s)} for {count(n_bytes)} bytes is {slowest_rate / fastest:.1f} times as "
        "fast as the device moves as many, or somewhat fewer: the work cannot have been done in that time"
    )


def too_flat(case: Case, times: Times, earlier: Iterable[tuple[Case, Times]]) -> str | None:
    """Return why a case's time does not grow with its size as it must, compared with `earlier` ones, or None.

    The time of small cases is that of the call, and does not grow. A case is large enough to grow when it moves
    bytes at half the bandwidth or more. Their fastest rounds are compared: beside other programs, a small case of
    several threads waits for the scheduler in most turns, and took 4.5 ms instead of 6 us.
    """
    if not (times.fraction_of_bandwidth or 0) > 0.5:
        return None
    for other, before in earlier:
        if replace(other, shape=case.shape) != case or other.n_elements * FLAT_GROWTH > case.n_elements:
            continue
        if times.min_s < FLAT_RATIO * before.min_s:
            return (
                f"{seconds(times.min_s)} for {count(case.n_elements)} elements is hardly longer than "
                f"{seconds(before.min_s)} for {count(other.n_elements)}: time does not grow with size"
            )
    return None


def doubts(subnormal_share: float, drift: float, others: float, load: str = "") -> str:
    """Return what makes a result doubtful, in words; empty where nothing does."""
    found = []
    if abs(drift) > DRIFT:
        found.append(
            f"the machine was {100 * abs(drift):.0f} % {'slower' if drift > 0 else 'faster'} than usual meanwhile"
        )
    if others > BUSY:
        # Kernels of several threads then wait for the scheduler, each turn alike: the interval does not show it.
        found.append(f"other programs used {100 * others:.0f} % of the processors meanwhile")
    if subnormal_share > SUBNORMAL:
        found.append(f"{100 * subnormal_share:.2g} % of the numbers are subnormal, which slows some kernels down")
    if load:
        found.append(load)
    return "; ".join(found)
