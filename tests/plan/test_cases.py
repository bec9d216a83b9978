"""Cases and their selection."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest

import backends
from backends.catalogue import OPS
from benchmarks.check import samples
from benchmarks.measure.prepared import BLOCK, prepare, subnormal_share
from benchmarks.plan import inputs, selection
from benchmarks.plan.presets import PRESETS
from benchmarks.plan.selection import Selection
from benchmarks.record import shapes
from benchmarks.record.schema import DTYPES, Case, Policies


@pytest.mark.parametrize("preset", PRESETS)
def test_ids_are_unique_and_shapes_survive_them(preset):
    found = list(selection.timing_cases(Selection(preset=preset)))
    assert len({str(case) for case in found}) == len(found)
    assert all(shapes.parse_shape(shapes.label_of(case.shape)) == case.shape for case in found)


def test_an_id_reads_op_mode_dtype_shape_backend_device():
    chosen = Selection(ops=("sigmoid",), sizes=(1_048_576,), modes=("forward",), backends=("torch",))
    assert [str(c) for c in selection.timing_cases(chosen)] == ["sigmoid-forward-float32-1048576-torch-cpu"]


def test_an_id_names_the_policies_that_are_not_the_default():
    chosen = Selection(
        ops=("relu",), sizes=(8,), modes=("forward",), backends=("numpy",),
        policies=tuple(
            Policies(allocation=allocation, cache=cache, timing=timing)
            for allocation in ("fresh", "reuse")
            for cache in ("hot", "cold")
            for timing in ("latency", "throughput")
        ),
    )  # fmt: skip
    found = list(selection.timing_cases(chosen))
    assert [str(c).removeprefix("relu-forward-float32-8-numpy-cpu") for c in found] == [
        "", "-throughput", "-cold", "-cold-throughput", "-reuse", "-reuse-throughput", "-reuse-cold",
        "-reuse-cold-throughput",
    ]  # fmt: skip
    assert len({c.group for c in found}) == len(found)


def test_each_team_is_a_case_of_its_own_on_the_host_and_the_largest_alone_elsewhere():
    chosen = Selection(
        ops=("relu",), sizes=(8,), modes=("forward",), backends=("numba", "torch"), devices=("cpu", "cuda"),
        policies=(Policies(team="1thread"), Policies(team="2threads")),
    )  # fmt: skip
    found = list(selection.timing_cases(chosen))
    assert [str(c).removeprefix("relu-forward-float32-8-") for c in found] == [
        "numba-cpu-1thread", "torch-cpu-1thread",
        "numba-cpu-2threads", "torch-cpu-2threads", "torch-cuda-2threads",
    ]  # fmt: skip
    assert len({c.group for c in found}) == 2


def test_graphs_are_a_devices_and_write_the_same_output_each_time():
    chosen = Selection(
        ops=("relu",), sizes=(8,), modes=("forward",), backends=("torch",), devices=("cpu", "cuda"),
        policies=tuple(
            Policies(allocation=allocation, launch=launch)
            for allocation in ("fresh", "reuse")
            for launch in ("eager", "graph")
        ),
    )  # fmt: skip
    found = list(selection.timing_cases(chosen))
    assert [str(c).removeprefix("relu-forward-float32-8-torch-") for c in found] == [
        "cpu", "cuda", "cpu-reuse", "cuda-reuse", "cuda-reuse-graph",
    ]  # fmt: skip
    assert [c.bound_as for c in found] == ["fresh", "fresh", "reuse", "reuse", "fresh"]


def test_quick_holds_the_course_notes_functions():
    ops = {case.op for case in selection.timing_cases(Selection())}
    assert ops == {"step", "sigmoid", "tanh", "relu", "mean_squared_error", "categorical_cross_entropy"}


def test_cases_to_be_compared_come_one_after_the_other():
    groups = [case.group for case in selection.timing_cases(Selection())]
    changes = sum(a != b for a, b in pairwise(groups))
    assert changes == len(set(groups)) - 1


def test_options_narrow_the_preset():
    chosen = Selection(
        ops=("relu",), backends=("numpy",), dtypes=("float64",), sizes=(10, 20), modes=("backward",)
    )
    found = list(selection.timing_cases(chosen))
    assert [(c.op, c.backend, c.dtype, c.shape, c.mode) for c in found] == [
        ("relu", "numpy", "float64", (10,), "backward"),
        ("relu", "numpy", "float64", (20,), "backward"),
    ]


def test_llm_keeps_the_shapes_of_models_unless_sizes_are_given():
    shapes = {c.shape for c in selection.timing_cases(Selection(preset="llm", ops=("softmax",)))}
    assert shapes == {(1, 128256), (64, 128256)}
    shapes = {c.shape for c in selection.timing_cases(Selection(preset="llm", ops=("softmax",), sizes=(2048,)))}
    assert shapes == {(2, 1024)}


def test_whole_shapes_take_the_place_of_sizes_and_go_beside_those_that_are_asked_for():
    for preset in ("quick", "llm"):
        chosen = Selection(preset=preset, ops=("softmax",), whole_shapes=((32, 10), (128, 1000)))
        assert {c.shape for c in selection.timing_cases(chosen)} == {(32, 10), (128, 1000)}
        chosen = replace(chosen, sizes=(320, 2048))
        assert chosen.shapes("softmax") == ((1, 320), (2, 1024), (32, 10), (128, 1000))
    assert Selection(sizes=(8,), whole_shapes=((8,),)).shapes("relu") == ((8,),)


def test_backends_get_only_devices_they_declare():
    found = list(selection.timing_cases(Selection(devices=("cpu", "cuda"))))
    assert {c.backend for c in found if c.device == "cuda"} == {"jax", "torch"}


def test_correctness_covers_every_op_and_dtype_where_it_is_in_every_way():
    found = list(selection.correctness_cases(selection.in_every_way(Selection())))
    assert {op for op, *_ in found} == set(OPS)
    assert {dtype for _, dtype, *_ in found} == {"float16", "bfloat16", "float32", "float64"}
    assert {mode for *_, mode in found} == {"forward", "backward"}


def test_ten_thousand_cases_can_be_listed():
    chosen = Selection(preset="full", sizes=tuple(range(1, 100)))
    assert sum(1 for _ in islice(selection.timing_cases(chosen), 10_001)) > 10_000


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_timed_inputs_are_ordinary_numbers_and_repeatable(op, dtype):
    shape = shapes.default_shape(OPS[op], 4096)
    first, again = inputs.draw(op, shape, dtype), inputs.draw(op, shape, dtype)
    for declared, a, b in zip(OPS[op].inputs, first, again, strict=True):
        if declared.optional:
            assert a is None
            continue
        np.testing.assert_array_equal(a, b)
        if declared.domain == "labels":
            assert a.min() >= 0
            assert a.max() < shape[-1]
            continue
        assert a.dtype == dtype
        assert np.isfinite(a).all()
        if declared.extent == "same":
            assert np.unique(a).size > (1000 if declared.domain not in ("sign", "one_hot") else 1)
        size = np.abs(a[a != 0])
        assert size.min() > np.finfo(dtype).tiny
        assert size.max() <= (10 if declared.domain != "log_distribution" else 20)
        if declared.domain == "distribution":
            np.testing.assert_allclose(a.sum(axis=-1), 1, rtol=1e-5)
        if declared.domain == "unit":
            assert 0 < a.min() < a.max() < 1 or declared.extent != "same"


@pytest.mark.parametrize(("op", "extra"), [(op, 17) for op in OPS] + [(op, 0) for op in ("relu", "softmax")])
def test_large_inputs_repeat_whole_rows(op, extra):
    row = 64 if OPS[op].along_axis else 1
    rows = 2 * inputs.PERIOD // row + extra
    shape = (rows, row) if OPS[op].along_axis else (rows,)
    period = inputs.PERIOD // row
    for declared, a in zip(OPS[op].inputs, inputs.draw(op, shape, "float32"), strict=True):
        if declared.optional or declared.extent == "broadcast":
            continue
        assert a.shape == (shape[:-1] if declared.domain == "labels" else shape)
        np.testing.assert_array_equal(a[:period], a[period : 2 * period])
        np.testing.assert_array_equal(a[:extra], a[2 * period :])
        if declared.domain == "distribution":
            np.testing.assert_allclose(a[-1].sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("op", [name for name, spec in OPS.items() if spec.along_axis])
def test_a_single_long_row_is_drawn_whole(op):
    shape = (inputs.PERIOD + 3,)
    first = inputs.draw(op, shape, "float32")[0]
    assert first.shape == shape
    assert not np.array_equal(first[:3], first[-3:])


@pytest.mark.parametrize("op", OPS)
def test_designed_samples_hold_the_special_values(op):
    sample = samples.designed_sample(op, "float32")[0]
    assert np.isnan(sample).any() or OPS[op].inputs[0].domain == "unit"
    if OPS[op].kind == "elementwise":
        wanted = samples.special_values("float32")
        assert set(wanted[~np.isnan(wanted)]) <= set(sample[~np.isnan(sample)])


@pytest.mark.parametrize("mode", ["forward", "backward"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_timed_results_are_never_subnormal(dtype, mode):
    numpy = backends.load("numpy")
    for op in OPS:
        case = Case(op, mode, dtype, shapes.default_shape(OPS[op], 100_000), "numpy", "cpu")
        ready, _ = prepare(numpy, case)
        assert subnormal_share(np.asarray(ready.call_twice())) == 0, op


@pytest.mark.parametrize("dtype", DTYPES)
def test_timed_inputs_are_never_subnormal(dtype):
    for op, spec in OPS.items():
        shape = shapes.default_shape(spec, 300_000)
        drawn = [*inputs.draw(op, shape, dtype, optional=True), inputs.cotangent(shape, dtype)]
        assert max(map(subnormal_share, drawn)) == 0, op


@pytest.mark.parametrize("shape", [(BLOCK + 5,), (2, BLOCK)])
def test_subnormal_numbers_are_counted_in_every_block(shape):
    values = np.ones(shape, np.float32)
    values.flat[[0, BLOCK, -1]] = 1e-40
    values.flat[1] = 0
    assert subnormal_share(values) == 3 / values.size


def test_memory_needed_counts_inputs_outputs_and_the_cotangent():
    n_bytes = 4 * 1000
    forward = Case("relu", "forward", "float32", (1000,), "numpy", "cpu")
    places = inputs.MOST_PLACES
    assert inputs.bytes_needed(forward) == (2 + places) * n_bytes
    assert inputs.bytes_needed(replace(forward, mode="backward")) == (2 + 2 * places) * n_bytes
    assert inputs.bytes_needed(replace(forward, op="mean_squared_error")) == (2 + 2 * places) * n_bytes
    assert inputs.bytes_needed(replace(forward, allocation="inplace")) == 3 * n_bytes


def test_large_inputs_lie_at_one_place():
    forward = Case("relu", "forward", "float32", (8_388_608,), "numpy", "cpu")
    assert inputs.n_places(forward) == 2
    assert inputs.n_places(replace(forward, mode="backward")) == 1
    assert inputs.n_places(replace(forward, cache="cold")) == 1


def test_a_buffer_that_is_reused_has_one_place_that_can_be_spoiled_before_it_is_checked():
    small = Case("relu", "forward", "float32", (1000,), "numpy", "cpu")
    assert inputs.n_places(small) == inputs.MOST_PLACES
    assert inputs.n_places(replace(small, allocation="reuse")) == 1
