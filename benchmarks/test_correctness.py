"""The correctness suite: every op, forward and backward, against the oracle; each backend judged alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends.base import output_shape
from backends.catalogue import OPS
from backends.interface import REDUCTIONS, OpSpec
from benchmarks import accuracy, inputs, oracle
from benchmarks.harness import Harness
from benchmarks.oracle import Array, Expected
from benchmarks.pool import CaseError

# The course notes' example: a digit's class 2 of 10, and a network's answer.
TARGET = np.eye(10)[2]
PREDICTION = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])

ALTERNATIVES: dict[str, tuple[dict[str, Any], ...]] = {
    "leaky_relu": ({"negative_slope": 0.2}, {"negative_slope": 0.0}),
    "gelu": ({"approximate": "tanh"},),
    "softmax": ({"axis": 0}, {"axis": 1}),
    "log_softmax": ({"axis": 0}, {"axis": 1}),
    "categorical_cross_entropy": ({"eps": 1e-3}, {"axis": 0}),
    "softmax_cross_entropy": ({"axis": 0},),
    "softmax_cross_entropy_with_integer_labels": ({"axis": 0},),
}
"""Parameters other than the defaults, tried on ordinary inputs."""


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_accuracy(harness: Harness, op: str, mode: str, dtype: str, backend: str, device: str) -> None:
    """Special values, kinks and every exponent stay within the ULP budget, known deviations apart."""
    spec = OPS[op]
    sample = inputs.designed_sample(op, dtype)
    parameters = {"reduction": "none"} if spec.kind == "loss" else {}
    place = {"op": op, "mode": mode, "backend": backend, "device": device, "dtype": dtype}
    try:
        place |= {"backend_version": harness.pool.facts(backend, device)["backend_version"]}
        g, expected = _expect(op, mode, dtype, sample, parameters)
        got = harness.pool.call(backend, device, "evaluate", op, mode, sample, g, parameters)
    except CaseError as error:
        harness.recorder.unavailable(place, error.status, error.reason)
        harness.settle(error.status, error.reason, backend, device)
        return
    assert str(got.dtype) == dtype
    verdict = accuracy.judge(
        got,
        expected,
        op=op,
        mode=mode,
        backend=backend,
        dtype=dtype,
        first_input=sample[0] if sample[0].shape == got.shape else None,
        complete=device == "cpu",  # where the known deviations were measured
    )
    harness.recorder.accuracy(place, verdict)
    harness.settle(verdict.status, verdict.reason, backend, device)


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_shapes_and_layouts(harness: Harness, op: str, mode: str, dtype: str, backend: str, device: str) -> None:
    """Empty, one element, 0-d, 3-D and strided inputs give what the oracle gives, in the shape it gives."""
    spec = OPS[op]
    shapes: list[tuple[int, ...]] = [(0, 3), (1, 1), (2, 3, 4)]
    if not spec.along_axis:
        shapes += [(), (0,)]
    for shape in shapes:
        for strided in (False, True) if shape else (False,):
            _compare(harness, spec, mode, dtype, backend, device, shape, strided=strided)


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_parameters(harness: Harness, op: str, mode: str, dtype: str, backend: str, device: str) -> None:
    """Every reduction, and parameters other than the defaults, mean what the catalogue says."""
    spec = OPS[op]
    choices: list[dict[str, Any]] = [*ALTERNATIVES.get(op, ())]
    if spec.kind == "loss":
        choices += [{"reduction": reduction} for reduction in REDUCTIONS]
    for parameters in choices or [{}]:
        _compare(harness, spec, mode, dtype, backend, device, (6, 6), parameters=parameters)


def test_gradient_agrees_with_numerical_difference(harness: Harness, op: str, backend: str, device: str) -> None:
    """The vjp is the slope of the backend's own forward, in float64, away from kinks."""
    spec = OPS[op]
    h = 1e-6
    sample = inputs.draw(op, (4, 5), "float64")
    # Away from kinks by more than the step, and from zero probabilities.
    first = np.where(np.abs(sample[0]) < 0.01, 0.1, sample[0])
    parameters = {"reduction": "sum"} if spec.kind == "loss" else {}

    def call(mode: str, x: Array, g: Array | None = None) -> Array:
        return _evaluate(harness, spec, mode, backend, device, (x, *sample[1:]), g, parameters)

    output = call("forward", first)
    g = inputs.cotangent(output.shape, "float64")
    gradient = call("backward", first, g)
    direction = inputs.cotangent(first.shape, "float64")
    rise = np.sum(g * (call("forward", first + h * direction) - call("forward", first - h * direction)))
    # Central differences err by h² times a third derivative, and by an ULP of the output over h.
    np.testing.assert_allclose(rise / (2 * h), np.sum(gradient * direction), rtol=1e-6, atol=1e-7)


def test_derivative_is_the_gradient_for_ones(
    harness: Harness, op: str, dtype: str, backend: str, device: str
) -> None:
    """`derivative` of an elementwise activation is its vjp for a cotangent of ones; others say they have none."""
    spec = OPS[op]
    x = np.linspace(-5, 5, 41).astype(dtype)
    if spec.derivative is None:
        arrays = inputs.draw(op, (2, 3), dtype)
        with pytest.raises(CaseError) as refusal:
            harness.pool.call(backend, device, "evaluate", op, "derivative", arrays, None, {})
        if refusal.value.status != "failed":
            harness.settle(refusal.value.status, refusal.value.reason, backend, device)
        assert "no elementwise derivative" in refusal.value.reason
        return
    slope = _evaluate(harness, spec, "derivative", backend, device, (x,), None, {})
    gradient = _evaluate(harness, spec, "backward", backend, device, (x,), np.ones_like(x), {})
    np.testing.assert_array_equal(slope, gradient)


@pytest.mark.parametrize(
    ("loss", "reduction", "golden", "tolerance"),
    [("mean_squared_error", "sum", 0.195, 1e-7), ("categorical_cross_entropy", "mean", 0.510826, 1e-6)],
)
def test_course_notes_examples(
    harness: Harness,
    loss: str,
    reduction: str,
    golden: float,
    tolerance: float,
    backend: str,
    device: str,
) -> None:
    """The numbers printed in the course notes: 0.195, and -ln 0.6."""
    arrays = (PREDICTION, TARGET)
    got = _evaluate(harness, OPS[loss], "forward", backend, device, arrays, None, {"reduction": reduction})
    assert float(got) == pytest.approx(golden, abs=tolerance)


def _expect(
    op: str, mode: str, dtype: str, arrays: tuple[Array, ...], parameters: dict[str, Any]
) -> tuple[Array | None, Expected]:
    """Return the cotangent (None for `forward`) and the exact result."""
    if mode == "forward":
        return None, oracle.forward(op, arrays, parameters, dtype)
    spec = OPS[op]
    g = inputs.cotangent(output_shape(spec, arrays, spec.complete(parameters)), dtype)
    return g, oracle.backward(op, g, arrays, parameters, dtype)


def _evaluate(
    harness: Harness,
    spec: OpSpec,
    mode: str,
    backend: str,
    device: str,
    arrays: tuple[Array, ...],
    g: Array | None,
    parameters: dict[str, Any],
    *,
    strided: bool = False,
) -> Array:
    try:
        got: Array = harness.pool.call(
            backend, device, "evaluate", spec.name, mode, arrays, g, parameters, strided
        )
    except CaseError as error:
        harness.settle(error.status, error.reason, backend, device)
        raise
    return got


def _n_summed(spec: OpSpec, first: Array, parameters: dict[str, Any]) -> int:
    """Return how many terms a result sums: none, those of a row, or all."""
    if spec.kind == "loss" and parameters.get("reduction", "mean") != "none":
        return max(first.size, 1)
    return first.shape[parameters.get("axis", -1)] if spec.along_axis and first.ndim else 1


def _compare(
    harness: Harness,
    spec: OpSpec,
    mode: str,
    dtype: str,
    backend: str,
    device: str,
    shape: tuple[int, ...],
    *,
    parameters: dict[str, Any] | None = None,
    strided: bool = False,
) -> None:
    """Compare one call on ordinary inputs with the oracle."""
    parameters = parameters or {}
    arrays = (
        tuple(
            np.moveaxis(a, -1, parameters.get("axis", -1)) if a.dtype.kind == "f" else a
            for a in inputs.draw(spec.name, shape, dtype)
        )
        if shape
        else inputs.draw(spec.name, shape, dtype)
    )
    g, expected = _expect(spec.name, mode, dtype, arrays, parameters)
    got = _evaluate(harness, spec, mode, backend, device, arrays, g, parameters, strided=strided)
    where = f"{spec.name} {mode} {dtype} shape {shape} {parameters} {'strided' if strided else ''}"
    assert got.shape == expected.high.shape, where
    assert str(got.dtype) == dtype, where
    verdict = accuracy.judge(
        got,
        expected,
        op=spec.name,
        mode=mode,
        backend=backend,
        dtype=dtype,
        parameters=parameters,
        first_input=arrays[0] if arrays[0].shape == got.shape else None,
        n_summed=_n_summed(spec, arrays[0], parameters),
        complete=False,
    )
    assert verdict.status != "failed", f"{where}: {verdict.reason}"
