"""The path of one measurement: prepare, cross-check, time, cross-check again, record.

What fails its cross-check is never timed; what fails anywhere is a record with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from subprocess import SubprocessError
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from backends.base import output_shape
from backends.catalogue import OPS
from backends.interface import OpSpec
from benchmarks import accuracy, bandwidth, inputs, measure, oracle
from benchmarks.accuracy import Verdict
from benchmarks.cases import Case
from benchmarks.oracle import Array, Expected
from benchmarks.pool import CaseError, Pool
from benchmarks.recorder import Recorder

N_SAMPLED = 256
"""Outputs are compared with the oracle at about this many places, one in each of as many equal stretches."""
N_ROWS = 16
"""Of outputs in rows, at least so many whole rows are compared."""
N_EDGE = 64
"""So many places at the end, and around the middle, are compared too: where blocks and threads' shares end."""
WIDE_FROM = 4096
"""From so many values on, the oracle evaluates in the next wider type instead of with mpmath."""


@dataclass(frozen=True)
class Reference:
    """Where to look at a case's outputs, and what must be there: one entry an output."""

    mode: str
    index: Any
    first_input: Array | None
    expected: Expected
    n_summed: int
    oracle: str


@dataclass
class Harness:
    """Measures cases in the workers of `pool` and records them.

    `required` holds the backends and devices that the user asked for by name: for them, being unavailable is a
    failure and not a reason to skip.
    """

    pool: Pool
    recorder: Recorder
    required: frozenset[str] = frozenset()
    _bandwidths: dict[str, bandwidth.Bandwidth | None] = field(default_factory=dict)
    _references: dict[str, list[Reference]] = field(default_factory=dict)

    def time(self, case: Case, benchmark: BenchmarkFixture, rule: measure.Rule) -> None:
        """Measure `case`, put the rounds into `benchmark` and record them; fail or skip the test if it cannot."""
        # pytest-benchmark has no public way to take rounds measured elsewhere; this marks it used.
        benchmark._mode = "activation-bench"  # noqa: SLF001
        facts: dict[str, Any] = {"status": "failed"}
        try:
            facts |= self.pool.facts(case.backend, case.device)
            self._require_support(case)
            copy = self._copy_bandwidth(case.device)
            facts |= self.pool.call(case.backend, case.device, "prepare", case)
            references = self._reference(case)
            facts["oracle"] = ", ".join(dict.fromkeys(r.oracle for r in references))
            facts |= _judged(self._check(case, references, "result"))
            if benchmark.enabled:
                sampling = self._sample(case, rule)
                self._check(case, references, "last_result")
                facts |= _timed(case, sampling, facts["bytes_moved"], copy)
            facts |= {"status": "ok"}
        except CaseError as error:
            facts |= {"status": error.status, "reason": error.reason}
        except Exception as error:  # ours, or the oracle's: it too must not cost the record
            self.recorder.case(case, facts | {"status": "failed", "reason": f"{type(error).__name__}: {error}"})
            raise
        finally:
            self._release(case)
        record = self.recorder.case(case, facts)
        if record["status"] == "ok" and benchmark.enabled:
            fill(benchmark, case.group, sampling, record)
        self.settle(record["status"], record.get("reason", ""), case.backend, case.device)

    def settle(self, status: str, reason: str, backend: str, device: str) -> None:
        """Turn a status into the outcome of the running test."""
        if status == "unavailable" and not self.required & {backend, device}:
            pytest.skip(reason)
        if status not in ("ok", "known_deviation"):
            pytest.fail(f"{status}: {reason}", pytrace=False)

    def _require_support(self, case: Case) -> None:
        gap = self.pool.call(
            case.backend, case.device, "supports", case.op, case.dtype, case.mode, case.allocation
        )
        if gap:
            raise CaseError("unavailable", gap)

    def _copy_bandwidth(self, device: str) -> bandwidth.Bandwidth | None:
        """Measure a device's copy bandwidth once a run, before its first case; None where that fails."""
        if device not in self._bandwidths:
            self._bandwidths[device] = None
            with suppress(CaseError, SubprocessError, OSError):
                self._bandwidths[device] = measured = self._measure_bandwidth(device)
                if measured:
                    self.recorder.bandwidth(device, measured)
        return self._bandwidths[device]

    def _measure_bandwidth(self, device: str) -> bandwidth.Bandwidth | None:
        if device == "cpu":
            return bandwidth.measure_host(self.pool.threads)
        # The backends' own copies: the fastest is what the device can do.
        places = [backend for backend, place in self.pool.started() if place == device]
        found = [self.pool.call(backend, device, "copy_seconds", bandwidth.LADDER) for backend in places]
        return bandwidth.from_seconds([min(seconds) for seconds in zip(*found, strict=True)]) if found else None

    def _check(self, case: Case, references: Sequence[Reference], method: str) -> list[Verdict]:
        outputs = self.pool.call(case.backend, case.device, method, [r.index for r in references])
        verdicts = []
        for reference, got in zip(references, outputs, strict=True):
            if str(got.dtype) != case.dtype or got.shape != reference.expected.high.shape:
                raise CaseError(
                    "failed",
                    f"{reference.mode}: result is {got.dtype} of shape {got.shape} where {case.dtype} of shape "
                    f"{reference.expected.high.shape} is due",
                )
            verdict = accuracy.judge(
                got,
                reference.expected,
                op=case.op,
                mode=reference.mode,
                backend=case.backend,
                dtype=case.dtype,
                first_input=reference.first_input,
                n_summed=reference.n_summed,
                complete=False,
            )
            if verdict.status == "failed":
                raise CaseError("failed", f"{reference.mode} cross-check: {verdict.reason}")
            verdicts.append(verdict)
        return verdicts

    def _sample(self, case: Case, rule: measure.Rule) -> measure.Sampling:
        def burst(iterations: int, n_rounds: int) -> list[float]:
            seconds: list[float] = self.pool.call(case.backend, case.device, "rounds", iterations, n_rounds)
            return seconds

        return measure.sample(burst, measure.calibrate(burst), rule)

    def _reference(self, case: Case) -> list[Reference]:
        """Return what a case's outputs must be; kept while the cases to be compared with it are measured."""
        if case.group not in self._references:
            self._references = {case.group: references(case)}
        return self._references[case.group]

    def _release(self, case: Case) -> None:
        # A worker that fails here is replaced for the next case; why is recorded already.
        with suppress(CaseError):
            self.pool.release(case.backend, case.device)


def references(case: Case) -> list[Reference]:
    """Evaluate the oracle at places spread over a case's outputs (all terms, where they are summed)."""
    modes = ("forward", "backward") if case.mode == "forward+backward" else (case.mode,)
    host = inputs.draw(case.op, case.shape, case.dtype)
    return [_forward_reference(case, host) if m == "forward" else _backward_reference(case, host) for m in modes]


def _forward_reference(case: Case, host: Sequence[Array]) -> Reference:
    spec = OPS[case.op]
    if spec.kind == "loss":
        wide = host[0].size >= WIDE_FROM
        expected = oracle.forward(case.op, host, spec.defaults, case.dtype, wide=wide)
        return Reference("forward", (), None, expected, host[0].size, oracle.source(case.dtype, wide=wide))
    index, n_summed = _places(case)
    sampled = _sampled(spec, host, index)
    wide = sampled[0].size >= WIDE_FROM
    expected = oracle.forward(case.op, sampled, spec.defaults, case.dtype, wide=wide)
    return Reference(
        "forward", index, _where(spec, sampled), expected, n_summed, oracle.source(case.dtype, wide=wide)
    )


def _backward_reference(case: Case, host: Sequence[Array]) -> Reference:
    spec = OPS[case.op]
    index, n_summed = _places(case)
    sampled = _sampled(spec, host, index)
    g = inputs.cotangent(output_shape(spec, host, spec.defaults), case.dtype)
    wide = sampled[0].size >= WIDE_FROM
    expected = oracle.backward(
        case.op,
        g if spec.kind == "loss" else g[index],
        sampled,
        spec.defaults,
        case.dtype,
        n_losses=case.n_elements // n_summed,
        wide=wide,
    )
    return Reference("backward", index, sampled[0], expected, n_summed, oracle.source(case.dtype, wide=wide))


def _where(spec: OpSpec, sampled: Sequence[Array]) -> Array | None:
    """Return the first input beside each output, or None where there is no one for each."""
    return sampled[0] if spec.shape is None else None


def _sampled(spec: OpSpec, host: Sequence[Any], index: Any) -> list[Any]:
    """Return the inputs at the sampled places; what is shared by all of them stays whole."""
    pairs = zip(spec.inputs, host, strict=True)
    return [a[index] if a is not None and d.extent in ("same", "rows") else a for d, a in pairs]


def _places(case: Case) -> tuple[Any, int]:
    """Return an index of sampled places (elements, or whole rows), and how many terms each result sums."""
    along_axis = OPS[case.op].along_axis
    outer = case.shape[:-1] if along_axis else case.shape
    row = case.shape[-1] if along_axis else 1
    n = int(np.prod(outer))
    n_places = min(n, max(N_ROWS, N_SAMPLED // row))
    edges = np.linspace(0, n, n_places + 1).astype(np.int64)
    generator = np.random.default_rng(n)
    # One at random in each stretch, the first place always among them.
    places = generator.integers(edges[:-1], edges[1:])
    places[0] = 0
    edge = max(1, N_EDGE // row)
    borders = [np.arange(max(0, end - edge), end) for end in (n, min(n, n // 2 + edge // 2))]
    places = np.unique(np.concatenate([places, *borders]))
    return np.unravel_index(places, outer) if outer else (), row


def _judged(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    worst = max(verdicts, key=lambda v: v.max_ulp)
    return {
        "max_ulp": worst.max_ulp,
        "mean_ulp": worst.mean_ulp,
        "max_abs_error": max(v.max_abs_error for v in verdicts),
        "reason": "; ".join(dict.fromkeys(v.reason for v in verdicts if v.reason)),
    }


def _timed(
    case: Case, sampling: measure.Sampling, n_bytes: int, copy: bandwidth.Bandwidth | None
) -> dict[str, Any]:
    median = sampling.median_s
    per_call = sampling.per_call_s
    rate = n_bytes / median / 1e9
    return {
        "median_s": median,
        "mean_s": sum(per_call) / len(per_call),
        "min_s": min(per_call),
        "iqr_s": sampling.iqr_s,
        "ci95_low_s": sampling.low_s,
        "ci95_high_s": sampling.high_s,
        "rounds": len(per_call),
        "iterations": sampling.iterations,
        "stop_reason": sampling.stop_reason,
        "elements_per_s": case.n_elements / median,
        "gigabytes_per_s": rate,
        "fraction_of_copy_bandwidth": rate / copy.at(n_bytes) if copy else None,
    }


def fill(benchmark: BenchmarkFixture, group: str, sampling: measure.Sampling, record: Mapping[str, Any]) -> None:
    """Put externally measured rounds into pytest-benchmark's fixture, with the record as `extra_info`."""
    benchmark.group = group
    benchmark.extra_info.update(record)
    stats = benchmark._make_stats(sampling.iterations)  # noqa: SLF001
    for seconds in sampling.rounds_s:
        stats.update(seconds)
