"""What was measured of a case, as its record has it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import backends
from backends.catalogue import OPS
from benchmarks.machine.limit import Bandwidth, Moved
from benchmarks.measure.disturbance import Undisturbed
from benchmarks.measure.entry import Entry
from benchmarks.measure.sampling import Sampling
from benchmarks.record.schema import Case, Ending, Errors, Measured, Preparation, Times, Verdict


def measured(entry: Entry, ending: Ending, times: Times | None, warning: str) -> Measured:
    """Return all that is known of an entry; an ok one's reason names the known deviations that were seen."""
    reasons = dict.fromkeys(verdict.reason for verdict in entry.verdicts if verdict.reason)
    case = entry.case
    return Measured(
        case=case,
        kind=OPS[case.op].kind,
        n_elements=case.n_elements,
        peer=case.backend in backends.peer_names(),
        ending=Ending(status=ending.status, reason=ending.reason or "; ".join(reasons)),
        warning=warning,
        checks=", ".join(dict.fromkeys(entry.checks)),
        times=times,
        worker=entry.worker,
        preparation=entry.preparation,
        closer=entry.closer,
        errors=errors(entry.verdicts, entry.oracle) if entry.verdicts else None,
    )


def errors(verdicts: Sequence[Verdict], oracle: str) -> Errors:
    """Return the errors that the cross-check found, of the worst of a case's outputs."""
    worst = max(verdicts, key=lambda verdict: verdict.max_ulp)
    return Errors(
        max_ulp=worst.max_ulp,
        mean_ulp=worst.mean_ulp,
        max_abs_error=max(verdict.max_abs_error for verdict in verdicts),
        oracle=oracle,
    )


def times_of(
    case: Case,
    sampling: Sampling,
    preparation: Preparation,
    limit: Bandwidth | None,
    sources: Sequence[Undisturbed] = (),
) -> Times:
    """Return what the rounds of a case say; `sources` are what they came from, one a process."""
    median, per_call, n_bytes = sampling.median_s, sampling.per_call_s, preparation.bytes_moved
    rate = n_bytes / median / 1e9
    moved = Moved(n_bytes, preparation.bytes_written, case.device, case.cache)
    return Times(
        median_s=median,
        mean_s=sum(per_call) / len(per_call),
        min_s=min(per_call),
        iqr_s=sampling.iqr_s,
        ci95_low_s=sampling.low_s,
        ci95_high_s=sampling.high_s,
        processes=len(sampling.processes),
        bursts=sampling.n_bursts,
        rounds=sampling.n_rounds,
        iterations=sampling.iterations[0],
        stop_reason=sampling.stop_reason,
        again=sum(source.n_again for source in sources),
        disturbed=sum(source.n_disturbed for source in sources),
        page_faults=_mean([faults for source in sources for faults in source.faults]),
        elements_per_s=case.n_elements / median,
        gigabytes_per_s=rate,
        fraction_of_bandwidth=rate / limit.of(moved) if limit else None,
    )


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else None
