"""The correctness suite: every op, forward and backward, against the oracle; each backend judged alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import backends
from backends.base import DTYPES, NARROW, output_shape
from backends.catalogue import OPS
from backends.interface import REDUCTIONS, OpSpec
from benchmarks.check import accuracy, course_notes, oracle, samples, search
from benchmarks.check.namespaces import Array
from benchmarks.measure.pool import CaseError
from benchmarks.plan import inputs
from benchmarks.plan.selection import CHECKED_MODES
from benchmarks.record.schema import SEARCHED, Accuracy, Check, Ending, Verdict

if TYPE_CHECKING:
    from benchmarks.measure.harness import Harness

pytestmark = pytest.mark.correctness

Places = list[tuple[str, str]]

CURVES = "float32"
"""The type whose errors the report draws under the functions."""

PRECISIONS = ("float64", "float16")
"""Parameters are tried in the widest type, and two in the narrowest: a parameter must not widen the result."""

WITH_ENDS = tuple(op for op, spec in OPS.items() if samples.ends(op) or any(d.optional for d in spec.inputs))
"""Ops with a parameter that has a range, or with an optional input."""

FROM_OUTPUT = tuple(op for op, spec in OPS.items() if spec.from_output)
"""Ops whose gradient is a function of their output."""

SUMMING = tuple(op for op, spec in OPS.items() if spec.kind != "elementwise")
"""Ops that add up a row, or losses."""


def test_accuracy(harness: Harness, op: str, mode: str, dtype: str, backend: str, device: str) -> None:
    """Special values, kinks and every exponent stay within the ULP budget, known deviations apart."""
    check = Check(op, mode, dtype, backend, device)

    def designed(evaluate: search.Evaluate) -> tuple[Array, search.Sample]:
        sample = search.designed(op, mode, dtype)
        return evaluate(sample.arrays, sample.cotangent), sample

    if dtype == CURVES and OPS[op].derivative is not None:
        _trace(harness, check)
    _certify(harness, check, designed, for_all=True)


@pytest.mark.certification
def test_worst_points(harness: Harness, op: str, mode: str, dtype: str, backend: str, device: str) -> None:
    """So do thousands of points, and the worst that a local search finds from there."""
    check = Check(op, mode, dtype, backend, device)
    _certify(harness, check, lambda evaluate: search.worst_points(evaluate, op, mode, dtype), SEARCHED)


@pytest.mark.correctness(ops=FROM_OUTPUT, modes=("backward",), saved="output")
def test_accuracy_from_the_output(harness: Harness, op: str, dtype: str, backend: str, device: str) -> None:
    """A gradient that starts from the op's output stays within its budget, too, wherever outputs lie."""
    check = Check(op, "backward", dtype, backend, device, "output")

    def designed(evaluate: search.Evaluate) -> tuple[Array, search.Sample]:
        sample = search.designed(op, "backward", dtype, "output")
        return evaluate(sample.arrays, sample.cotangent), sample

    _certify(harness, check, designed)


@pytest.mark.certification
@pytest.mark.correctness(ops=FROM_OUTPUT, modes=("backward",), saved="output")
def test_worst_points_from_the_output(harness: Harness, op: str, dtype: str, backend: str, device: str) -> None:
    """So do thousands of points, and the worst that a local search finds from there."""
    check = Check(op, "backward", dtype, backend, device, "output")
    _certify(
        harness, check, lambda evaluate: search.worst_points(evaluate, op, "backward", dtype, "output"), SEARCHED
    )


@pytest.mark.correctness(ops=FROM_OUTPUT, dtypes=("float32",), modes=("backward",), saved="output")
def test_shapes_and_layouts_from_the_output(harness: Harness, op: str, backend: str, device: str) -> None:
    """Shapes, strides and other axes are for it what they are for any gradient."""
    spec, check = OPS[op].of_output, Check(op, "backward", "float32", backend, device, "output")
    shapes: list[tuple[int, ...]] = [(0, 4), (1, 2), (2, 3, 4), (3, 100)]
    for shape in shapes if spec.along_axis else (*shapes, (), (0,), (100,)):
        arrays = inputs.draw(op, shape, "float32", saved="output")
        for parameters in spec.alternatives if spec.along_axis else ({},):
            sample = search.attempt(spec, "backward", "float32", arrays, parameters)
            for strided in (False, True) if shape else (False,):
                _compare_sample(harness, check, sample, parameters, strided=strided)


@pytest.mark.correctness(ops=FROM_OUTPUT, dtypes=("float64",), modes=("backward",), saved="output")
def test_gradient_from_the_output_is_the_gradient(harness: Harness, op: str, backend: str, device: str) -> None:
    """From what the backend's own forward pass returned, it is the gradient that starts from the input."""
    sample = inputs.draw(op, (4, 6), "float64")
    y = _evaluate(harness, Check(op, "forward", "float64", backend, device), sample, None, {})
    g = inputs.cotangent(y.shape, "float64")
    check = Check(op, "backward", "float64", backend, device)
    from_input = _evaluate(harness, check, sample, g, {})
    from_output = _evaluate(harness, replace(check, saved="output"), (y,), g, {})
    # Where y approaches 1, 1 - y has few digits left, whoever computes it.
    np.testing.assert_allclose(from_output, from_input, rtol=1e-7, atol=1e-12)


@pytest.mark.correctness(dtypes=("float32",))
def test_shapes_and_layouts(harness: Harness, op: str, mode: str, backend: str, device: str) -> None:
    """Empty, one element, 0-d, 3-D and strided inputs give what the oracle gives, in the shape it gives."""
    spec = OPS[op]
    shapes: list[tuple[int, ...]] = [(0, 4), (1, 2), (2, 3, 4)]
    if not spec.along_axis:
        shapes += [(), (0,)]
    for shape in shapes:
        for strided in (False, True) if shape else (False,):
            _compare(harness, Check(op, mode, "float32", backend, device), shape, strided=strided)


@pytest.mark.correctness(dtypes=PRECISIONS)
def test_parameters(harness: Harness, op: str, mode: str, dtype: str, backend: str, device: str) -> None:
    """Every reduction, optional input, and parameter other than the default means what the catalogue says."""
    spec = OPS[op]
    choices: list[dict[str, Any]] = [*map(dict, spec.alternatives)]
    if spec.kind == "loss":
        choices += [{"reduction": reduction} for reduction in REDUCTIONS]
    optional = (False, True) if any(declared.optional for declared in spec.inputs) else (False,)
    check = Check(op, mode, dtype, backend, device)
    for parameters in (choices or [{}])[: None if dtype == PRECISIONS[0] else 2]:
        for given in optional:
            _compare(harness, check, (6, 6), parameters=parameters, optional=given)


@pytest.mark.correctness(ops=WITH_ENDS, dtypes=("float16", *DTYPES))
def test_ends_of_parameters(harness: Harness, op: str, mode: str, dtype: str, backend: str, device: str) -> None:
    """Parameters at the ends of their ranges, and beyond what the type holds, meet every special value."""
    check = Check(op, mode, dtype, backend, device)
    reduction = {"reduction": "none"} if OPS[op].kind == "loss" else {}
    for parameters in samples.ends(op) or [{}]:  # optional inputs alone
        _compare_at_special_values(harness, check, parameters | reduction)


@pytest.mark.correctness(dtypes=("float32",), thorough=True)
def test_lengths(harness: Harness, op: str, mode: str, backend: str, device: str) -> None:
    """Special values mean the same in arrays of every length up to 64, or of those around whole vectors."""
    check = Check(op, mode, "float32", backend, device)
    parameters = {"reduction": "none"} if OPS[op].kind == "loss" else {}
    for length in samples.LENGTHS if _is_written_by_hand(harness, check) else samples.FEW_LENGTHS:
        _compare_sample(harness, check, _of_length(op, mode, length), parameters)


@pytest.mark.correctness(ops=SUMMING, dtypes=NARROW)
def test_sums_beyond_narrow_types(
    harness: Harness, op: str, mode: str, dtype: str, backend: str, device: str
) -> None:
    """More rows, or longer ones, than float16 can count are summed and averaged like few."""
    spec = OPS[op]
    check = Check(op, mode, dtype, backend, device)
    for shape in ((70_000, 2), (2, 70_000)):
        for parameters in _sums(spec):
            arrays = samples.large(op, shape, dtype, parameters)
            sample = search.attempt(spec, mode, dtype, arrays, parameters, wide=True)
            _compare_sample(harness, check, sample, parameters)


@pytest.mark.correctness(dtypes=("float64",), modes=("backward",))
def test_gradient_agrees_with_numerical_difference(harness: Harness, op: str, backend: str, device: str) -> None:
    """The vjp is the slope of the backend's own forward, in float64, away from kinks."""
    spec = OPS[op]
    h = 1e-6
    sample = _away_from_kinks(spec, inputs.draw(op, (4, 6), "float64"))
    first = sample[0]
    parameters = {"reduction": "sum"} if spec.kind == "loss" else {}

    def call(mode: str, x: Array, g: Array | None = None) -> Array:
        check = Check(op, mode, "float64", backend, device)
        return _evaluate(harness, check, (x, *sample[1:]), g, parameters)

    output = call("forward", first)
    g = inputs.cotangent(output.shape, "float64")
    gradient = call("backward", first, g)
    direction = inputs.cotangent(first.shape, "float64")
    rise = np.sum(g * (call("forward", first + h * direction) - call("forward", first - h * direction)))
    # Central differences err by h² times a third derivative, and by an ULP of the output over h.
    np.testing.assert_allclose(rise / (2 * h), np.sum(gradient * direction), rtol=1e-6, atol=1e-7)


@pytest.mark.correctness(dtypes=("float64",), modes=("backward",))
def test_gradients_of_backends_agree(harness: Harness, op: str, device: str, places: Places) -> None:
    """Hand-written gradients and two frameworks' differentiation give the same numbers, in float64.

    To seven digits: PyTorch has constants of float32 precision (see `known_deviations`).
    """
    spec = OPS[op]
    sample = _away_from_kinks(spec, inputs.draw(op, (4, 6), "float64"))
    parameters = {"reduction": "none"} if spec.kind == "loss" else {}
    g = inputs.cotangent(output_shape(spec, sample, spec.complete(parameters)), "float64")
    found: dict[str, Array] = {}
    for backend, place in places:
        if place == device:
            with suppress(CaseError):  # what is unavailable says so in its own tests
                found[backend] = harness.pool.call(
                    backend, device, "evaluate", op, "backward", sample, g, parameters
                )
    reference = next(iter(found.values()), None)
    for other in found.values():
        assert reference is not None
        np.testing.assert_allclose(other, reference, rtol=1e-7, atol=1e-13 * np.abs(reference).max())


@pytest.mark.correctness(dtypes=("float32",), modes=("backward",))
def test_derivative_is_the_gradient_for_ones(harness: Harness, op: str, backend: str, device: str) -> None:
    """`derivative` of an elementwise activation is its vjp for a cotangent of ones; others say they have none."""
    spec = OPS[op]
    x = np.linspace(-5, 5, 41, dtype=np.float32)
    if spec.derivative is None:
        arrays = inputs.draw(op, (2, 4), "float32")
        with pytest.raises(CaseError) as refusal:
            harness.pool.call(backend, device, "evaluate", op, "derivative", arrays, None, {})
        if refusal.value.ending.status != "failed":
            harness.settle(refusal.value.ending, backend, device)
        assert "no elementwise derivative" in refusal.value.ending.reason
        return
    check = Check(op, "backward", "float32", backend, device)
    slope = _evaluate(harness, replace(check, mode="derivative"), (x,), None, {})
    gradient = _evaluate(harness, check, (x,), np.ones_like(x), {})
    np.testing.assert_array_equal(slope, gradient)


@pytest.mark.correctness(ops=tuple(course_notes.EXAMPLES), dtypes=("float64",), modes=("forward",))
def test_course_notes_examples(harness: Harness, op: str, backend: str, device: str) -> None:
    """The numbers printed in the course notes: 0.195, and -ln 0.6."""
    example = course_notes.EXAMPLES[op]
    check = Check(op, "forward", "float64", backend, device)
    arrays = (course_notes.PREDICTION, course_notes.TARGET)
    got = _evaluate(harness, check, arrays, None, {"reduction": example.reduction})
    assert float(got) == pytest.approx(example.loss, abs=example.tolerance)


def _trace(harness: Harness, check: Check) -> None:
    """Record a backend's errors along the function's curve, whatever they are: judged are other points."""
    sample = search.along_curve(check.op, check.mode, check.dtype)
    harness.recorder.function(check.op, *oracle.curve(check.op))
    with suppress(CaseError):  # what cannot be evaluated says so where it is judged
        got = _called(harness, check, sample.arrays, sample.cotangent, {}, for_all=True)
        harness.recorder.curve(check, sample.arrays[0], accuracy.ulp_error(got, sample.expected))


def _certify(
    harness: Harness,
    check: Check,
    measure: Callable[[search.Evaluate], tuple[Array, search.Sample]],
    kind: str = "designed",
    *,
    for_all: bool = False,
) -> None:
    """Judge and record a backend's results on a sample that `measure` evaluates, the same `for_all` or not."""
    if known := harness.checked(check, kind):
        _settle(harness, known, check)
        return
    parameters = {"reduction": "none"} if OPS[check.op].kind == "loss" else {}
    version = None

    def evaluate(arrays: tuple[Array, ...], g: Array | None) -> Array:
        got = _called(harness, check, arrays, g, parameters, for_all=for_all)
        if str(got.dtype) != check.dtype:
            harness.settle(
                Ending(status="failed", reason=f"the result is {got.dtype}"), check.backend, check.device
            )
        return got

    found: Verdict | Ending
    try:
        version = harness.pool.facts(check.backend, check.device).backend_version
        promised = harness.pool.call(
            check.backend, check.device, "promised_ulp", check.op, check.mode, check.dtype
        )
        got, sample = measure(evaluate)
    except CaseError as error:
        found = error.ending
    else:
        first = sample.arrays[0]
        found = accuracy.assess(
            got,
            sample.expected,
            check,
            first_input=first,
            second_input=_second(sample.arrays),
            n_summed=accuracy.terms(OPS[check.op], first, parameters),
            # Known deviations were measured there; what is on request shares those of its family, or has fewer.
            complete=check.device == "cpu" and check.backend in backends.names(),
            promised=promised,
            n_sample=sample.n_sample,
            flushed=_flushed(harness, check),
        )
    harness.recorder.accuracy(
        Accuracy(check=check, kind=OPS[check.op].kind, backend_version=version, sample=kind, found=found)
    )
    _settle(harness, found, check)


def _settle(harness: Harness, ending: Ending | Verdict, check: Check) -> None:
    """Turn an ending into the outcome of the test.

    Who names a backend has not asked for gradients that start from an output: one that has none is skipped.
    """
    if ending.status == "unavailable" and check.saved == "output":
        pytest.skip(ending.reason)
    harness.settle(ending, check.backend, check.device)


def _away_from_kinks(spec: OpSpec, sample: tuple[Any, ...]) -> tuple[Any, ...]:
    """Move first inputs away from kinks and zero probabilities by more than a difference's step."""
    first = sample[0].copy()
    for kink in (*spec.kinks, 0.0):
        first[np.abs(first - kink) < 0.01] += 0.1
    return (first, *sample[1:])


def _called(
    harness: Harness,
    check: Check,
    arrays: tuple[Array, ...],
    g: Array | None,
    parameters: Mapping[str, Any],
    **options: bool,
) -> Array:
    """Return the result of one call in the backend's worker. Raises CaseError where there is none."""
    return harness.evaluations.of(check, arrays, g, parameters, **options)


def _evaluate(harness: Harness, check: Check, *arguments: Any, **options: Any) -> Array:
    """Return the result of one call (see `_called`); where there is none, end the test."""
    try:
        return _called(harness, check, *arguments, **options)
    except CaseError as error:
        _settle(harness, error.ending, check)
        raise


def _is_written_by_hand(harness: Harness, check: Check) -> bool:
    """Tell whether a backend promises a bound: it has kernels of its own, which no shape compiles anew."""
    with suppress(CaseError):  # what is unavailable says so where it computes
        return bool(
            np.isfinite(
                harness.pool.call(check.backend, check.device, "promised_ulp", "relu", check.mode, check.dtype)
            )
        )
    return False


def _second(arrays: Sequence[Any]) -> Array | None:
    """Return the second input, if there is one."""
    return arrays[1] if len(arrays) > 1 else None


def _flushed(harness: Harness, check: Check) -> bool:
    """Tell whether the backend's worker takes subnormal numbers for zero."""
    flushed: bool = harness.pool.call(check.backend, check.device, "flushes_subnormals")
    return flushed


def _compare(
    harness: Harness,
    check: Check,
    shape: tuple[int, ...],
    *,
    parameters: Mapping[str, Any] | None = None,
    strided: bool = False,
    optional: bool = False,
) -> None:
    """Compare one call on ordinary inputs with the oracle."""
    parameters = parameters or {}
    sample = _ordinary(check.op, check.mode, check.dtype, shape, tuple(parameters.items()), optional=optional)
    _compare_sample(harness, check, sample, parameters, strided=strided, for_all=True)


def _compare_at_special_values(harness: Harness, check: Check, parameters: Mapping[str, Any]) -> None:
    """Compare calls on special values with the oracle, with optional inputs and without."""
    optional = any(declared.optional for declared in OPS[check.op].inputs)
    for given in (True, False) if optional else (True,):
        sample = _special(check.op, check.mode, check.dtype, tuple(parameters.items()), optional=given)
        _compare_sample(harness, check, sample, parameters)


def _sums(spec: OpSpec) -> list[dict[str, Any]]:
    """Return parameters that decide what is summed, or divided by."""
    if spec.kind != "loss":
        return [{}]
    found: list[dict[str, Any]] = [{"reduction": reduction} for reduction in REDUCTIONS]
    names = {parameter.name for parameter in spec.parameters}
    if "ignore_index" in names:
        found.append({"reduction": "mean", "ignore_index": 1})
    if "label_smoothing" in names:
        found.append({"reduction": "mean", "label_smoothing": 0.1})
    return found


def _compare_sample(
    harness: Harness,
    check: Check,
    sample: search.Sample,
    parameters: Mapping[str, Any],
    *,
    strided: bool = False,
    for_all: bool = False,
) -> None:
    """Compare one call with what is exact; `for_all`, if all backends are compared with this very sample."""
    spec, arrays = OPS[check.op], sample.arrays
    got = _evaluate(harness, check, arrays, sample.cotangent, parameters, strided=strided, for_all=for_all)
    where = (
        f"{check.op} {check.mode} {check.dtype} shape {arrays[0].shape} {dict(parameters)} "
        f"{'strided' if strided else ''}"
    )
    if (got.shape, str(got.dtype)) != (sample.expected.high.shape, check.dtype):
        wrong = f"{where}: got {got.dtype} of shape {got.shape}"
        harness.settle(Ending(status="failed", reason=wrong), check.backend, check.device)
    verdict = accuracy.assess(
        got,
        sample.expected,
        check,
        parameters=parameters,
        first_input=arrays[0],
        second_input=_second(arrays),
        n_summed=accuracy.terms(spec, arrays[0], parameters),
        complete=False,
        flushed=_flushed(harness, check),
    )
    if verdict.status != "known_deviation":
        harness.settle(
            Ending(status=verdict.status, reason=f"{where}: {verdict.reason}"), check.backend, check.device
        )


@lru_cache(maxsize=64)
def _special(
    op: str, mode: str, dtype: str, parameters: tuple[tuple[str, Any], ...], *, optional: bool
) -> search.Sample:
    """Return special values and what is exact for them; kept like ordinary inputs."""
    spec, chosen = OPS[op], dict(parameters)
    arrays = samples.special_sample(op, dtype, chosen)
    if not optional:
        arrays = tuple(None if d.optional else a for d, a in zip(spec.inputs, arrays, strict=True))
    return search.attempt(spec, mode, dtype, arrays, chosen)


@lru_cache(maxsize=len(CHECKED_MODES) * len(samples.LENGTHS))
def _of_length(op: str, mode: str, length: int) -> search.Sample:
    """Return a short array and what is exact for it; kept like ordinary inputs, of every length."""
    return search.attempt(OPS[op], mode, "float32", samples.of_length(op, "float32", length))


@lru_cache(maxsize=64)
def _ordinary(
    op: str,
    mode: str,
    dtype: str,
    shape: tuple[int, ...],
    parameters: tuple[tuple[str, Any], ...],
    *,
    optional: bool,
) -> search.Sample:
    """Return ordinary inputs and what is exact for them; kept while one backend after the other is compared.

    An op is tried in up to 36 ways, and on each backend in all of them before the next.
    """
    spec, chosen = OPS[op], dict(parameters)
    axis = chosen.get("axis", -1)
    arrays = inputs.draw(op, shape, dtype, optional=optional)
    if axis != -1:
        pairs = zip(spec.inputs, arrays, strict=True)
        arrays = tuple(a if a is None or d.extent != "same" else np.moveaxis(a, -1, axis) for d, a in pairs)
    if chosen.get("ignore_index") is not None:
        arrays[1].flat[0] = chosen["ignore_index"]  # or no row might be one to ignore
    return search.attempt(spec, mode, dtype, arrays, chosen)
