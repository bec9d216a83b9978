"""ULP distances, budgets, and known deviations that must neither grow nor vanish."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.catalogue import OPS
from benchmarks.check import accuracy, known_deviations, oracle
from benchmarks.check.deviations import ALL_DIGITS, KnownDeviation
from benchmarks.check.oracle import Expected
from benchmarks.plan import inputs
from benchmarks.record.schema import Check

FINITE_FLOATS = st.floats(-(2.0**100), 2.0**100, allow_subnormal=False, width=32).filter(lambda x: abs(x) > 1e-30)


def exactly(values, scale=None):
    high = np.asarray(values, np.float64)
    return Expected(high, np.zeros_like(high), np.abs(high) if scale is None else np.asarray(scale, np.float64))


@given(FINITE_FLOATS, st.integers(-5, 5))
def test_a_result_k_steps_away_is_k_ulp_off(x, k):
    exact = np.float32(x)
    got = exact
    for _ in range(abs(k)):
        got = np.nextafter(got, np.float32(np.inf if k > 0 else -np.inf))
    distance = accuracy.ulp_error(np.asarray(got), exactly(exact))
    # Crossing a power of two changes the step by a factor of two.
    assert abs(k) / 2 <= distance <= abs(k) * 2


@pytest.mark.parametrize(
    ("got", "exact", "error"),
    [
        (np.nan, np.nan, 0),
        (np.inf, np.inf, 0),
        (-np.inf, np.inf, np.inf),
        (np.nan, 1.0, np.inf),
        (1.0, np.nan, np.inf),
        (np.inf, 1.0, np.inf),
        (0.0, -0.0, 0),
        (np.inf, 1e39, 0),  # beyond float32's range: infinity is the rounded result
        (0.0, 1.401298464324817e-45, 1),  # the smallest subnormal, lost
    ],
)
def test_special_results(got, exact, error):
    assert accuracy.ulp_error(np.asarray(got, np.float32), exactly(exact)) == error


def test_low_part_of_the_exact_value_counts():
    exact = Expected(np.asarray(1.0), np.asarray(np.finfo(np.float64).eps / 4), np.asarray(1.0))
    assert accuracy.ulp_error(np.asarray(1.0), exact) == pytest.approx(0.25)


def test_errors_are_measured_at_the_scale_of_the_largest_term():
    got, exact = np.asarray(1e-8, np.float32), exactly(0.0, scale=1.0)
    assert accuracy.ulp_error(got, exact) == pytest.approx(1e-8 / np.spacing(np.float32(1)), rel=1e-6)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shape"):
        accuracy.ulp_error(np.zeros(3, np.float32), exactly(0.0))


def assess(got, exact, x, backend="torch", device="cpu", **facts):
    check = Check("sigmoid", "forward", "float32", backend, device)
    return accuracy.assess(np.asarray(got, np.float32), exactly(exact), check, first_input=np.asarray(x), **facts)


@pytest.fixture
def known(monkeypatch):
    deviation = KnownDeviation(("torch",), ("sigmoid",), ("forward",), 100, "cancels", low=5.0)
    monkeypatch.setattr(accuracy, "KNOWN_DEVIATIONS", (deviation,))


def test_within_budget_is_ok(monkeypatch):
    monkeypatch.setattr(accuracy, "KNOWN_DEVIATIONS", ())
    assert assess([1.0], [1.0], [0.0]).status == "ok"


def test_a_deviation_of_one_device_excuses_nothing_on_another(monkeypatch):
    deviation = KnownDeviation(("torch",), ("sigmoid",), ("forward",), 100, "cancels", low=5.0, devices=("cuda",))
    monkeypatch.setattr(accuracy, "KNOWN_DEVIATIONS", (deviation,))
    off = [[1.0, 1 + 50 * 2**-23], [1.0, 1.0], [0.0, 6.0]]
    assert assess(*off, device="cuda").status == assess(*off, device="cuda:1").status == "known_deviation"
    assert assess(*off, device="cpu").status == "failed"
    # Nor is it missed where it is not.
    assert assess([1.0, 1.0], [1.0, 1.0], [0.0, 6.0], device="cpu").status == "ok"


@pytest.mark.parametrize("op", ["elu", "celu", "selu", "hard_silu"])
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_a_number_for_the_gradient_at_nan_is_excused_where_it_was_seen(op, device):
    check = Check(op, "backward", "float64", "torch", device)
    found = accuracy.assess(np.array(1.0), exactly(np.nan), check, first_input=np.array(np.nan), complete=False)
    assert found.status == "known_deviation"


@pytest.mark.parametrize("op", ["hard_sigmoid", "hard_silu"])
@pytest.mark.parametrize(("device", "status"), [("cuda", "known_deviation"), ("cpu", "failed")])
def test_a_sixth_in_float32_is_excused_where_it_was_seen(op, device, status):
    check = Check(op, "forward", "float64", "torch", device)
    found = accuracy.assess(
        np.array(0.5 * (1 + 2**-25)), exactly(0.5), check, first_input=np.array(0.0), complete=False
    )
    assert found.status == status


def test_known_deviation_is_reported_with_its_reason(known):
    verdict = assess([1.0, 1 + 50 * 2**-23], [1.0, 1.0], [0.0, 6.0])
    assert (verdict.status, verdict.reason, verdict.worst_input) == ("known_deviation", "cancels", 6.0)
    assert (verdict.max_ulp, verdict.max_ulp_elsewhere, verdict.max_ulp_normal) == (50, 0, 50)


def test_errors_at_infinities_and_nan_are_none_at_finite_inputs(known):
    verdict = assess(
        [1.0, np.nan, np.nan, 1 + 2**-23], [1.0, 1.0, np.nan, 1.0], [6.0, np.inf, np.nan, 7.0], complete=False
    )
    assert (verdict.max_ulp, verdict.max_ulp_normal) == (np.inf, 1)


def test_a_subnormal_result_flushed_to_zero_is_no_error_among_normal_ones(known):
    verdict = assess([0.0, 1 + 2**-23], [1e-40, 1.0], [6.0, 7.0], complete=False)
    assert verdict.max_ulp > 1e4
    assert verdict.max_ulp_normal == 1


@pytest.mark.parametrize(("devices", "status"), [(("cpu",), "known_deviation"), (("cuda",), "failed")])
def test_a_deviation_seen_on_one_device_excuses_no_other(monkeypatch, devices, status):
    deviation = KnownDeviation(("torch",), ("sigmoid",), ("forward",), 100, "cancels", low=5.0, devices=devices)
    monkeypatch.setattr(accuracy, "KNOWN_DEVIATIONS", (deviation,))
    assert assess([1 + 50 * 2**-23], [1.0], [6.0]).status == status


def test_known_deviation_that_grows_fails(known):
    assert assess([1 + 200 * 2**-23], [1.0], [6.0]).status == "failed"


def test_known_deviation_that_is_gone_fails(known):
    verdict = assess([1.0, 1.0], [1.0, 1.0], [0.0, 6.0])
    assert verdict.status == "failed"
    assert "no longer seen" in verdict.reason


def test_known_deviation_is_not_missed_in_a_partial_sample(known):
    assert assess([1.0], [1.0], [0.0], complete=False).status == "ok"


def test_error_outside_the_known_region_fails(known):
    verdict = assess([1 + 50 * 2**-23, 1 + 50 * 2**-23], [1.0, 1.0], [0.0, 6.0])
    assert verdict.status == "failed"
    assert "first input" in verdict.reason


def test_another_backend_is_not_excused(known):
    assert assess([1 + 50 * 2**-23], [1.0], [6.0], backend="numpy").status == "failed"


def test_sums_are_allowed_what_a_good_sum_of_their_length_errs():
    base = OPS["mean_squared_error"].budget.forward
    assert accuracy.budget("mean_squared_error", "forward", 2**20) == base + 20
    assert accuracy.budget("softmax", "forward", 100) == OPS["softmax"].budget.forward + 10


def test_all_digits_means_the_dtype_s_own():
    deviation = KnownDeviation((), (), (), ALL_DIGITS, "")
    x = np.ones(1)
    assert deviation.limit(x, x, np.dtype("float32")) == 2**24
    assert deviation.limit(x, x, np.dtype("float64")) == 2**53


@pytest.mark.parametrize(
    ("backend", "op", "wrong"),
    [
        ("torch", "sigmoid", lambda exact, x: np.where(x >= 1, 1.9 * exact, exact)),
        ("jax", "tanh", lambda exact, x: np.where(abs(x) >= 0.5, 1.9 * exact, exact)),
        ("torch", "gelu", lambda exact, x: np.where(x <= -1, 0, exact)),
        ("jax", "mean_absolute_error", lambda exact, x: np.where(abs(x - 0.5) <= 0.5, np.inf, exact)),
    ],
)
def test_a_known_deviation_excuses_no_other_error_in_its_region(backend, op, wrong):
    arrays = inputs.draw(op, (1000,), "float32")
    g = inputs.cotangent((1000,), "float32")
    parameters = {"reduction": "none"} if OPS[op].kind == "loss" else {}
    expected = oracle.backward(op, g, arrays, OPS[op].defaults | parameters, "float32")
    check = Check(op, "backward", "float32", backend, "cpu")

    def status(got):
        return accuracy.assess(
            got.astype("float32"), expected, check, parameters=parameters, first_input=arrays[0], complete=False
        ).status

    assert status(expected.high) == "ok"
    assert status(wrong(expected.high, arrays[0])) == "failed"


def test_deviations_name_known_ops_and_give_reasons():
    for deviation in known_deviations.KNOWN_DEVIATIONS:
        assert set(deviation.ops) <= set(OPS)
        assert deviation.reason


@pytest.mark.parametrize(
    ("at", "dtype", "covered"),
    [
        ("anywhere", "float32", [True] * 6),
        ("undefined", "float32", [False, False, False, False, False, True]),
        ("zero", "float32", [True, False, False, False, False, False]),
        ("subnormal", "float32", [True, False, False, False, False, False]),
        ("huge", "float32", [False, False, False, True, True, False]),
        ("top", "float32", [False, False, False, False, True, False]),
        ("interval", "bfloat16", [False, True, True, False, False, False]),
    ],
)
def test_regions(at, dtype, covered):
    x = np.array([1e-39, 1.0, 2.0, 1e20, 3e38, np.nan], dtype)
    exact = np.array([0.0, 1.0, 2.0, 1e20, 1.0, np.nan])
    deviation = KnownDeviation((), (), (), 1, "", low=1, high=2, at=at)
    assert deviation.covers(x, exact, np.dtype(dtype)).tolist() == covered


def test_a_deviation_of_rows_covers_all_of_a_row_and_its_loss():
    rows = np.array([[1.0, -np.inf], [1.0, 2.0]])
    deviation = KnownDeviation((), (), (), 1, "", high=-np.inf, at="row")
    assert deviation.covers(rows, rows, rows.dtype, rows=rows).tolist() == [[True, True], [False, False]]
    assert deviation.covers(rows[:, 0], rows[:, 0], rows.dtype, rows=rows).tolist() == [True, False]
    assert not deviation.covers(rows, rows, rows.dtype).any()


def test_a_deviation_may_depend_on_the_second_input():
    x, target = np.array([np.inf, np.inf, 1.0]), np.array([1.0, 0.0, 1.0])
    deviation = KnownDeviation((), (), (), 1, "", low=np.inf, beside=1)
    assert deviation.covers(x, x, x.dtype, target).tolist() == [True, False, False]
    assert not deviation.covers(x, x, x.dtype).any()


def test_where_maintainers_were_told_is_part_of_the_reason(monkeypatch):
    deviation = KnownDeviation(("torch",), ("sigmoid",), ("forward",), 100, "cancels", issue="pytorch/pytorch#1")
    monkeypatch.setattr(accuracy, "KNOWN_DEVIATIONS", (deviation,))
    assert assess([1 + 50 * 2**-23], [1.0], [6.0]).reason == "cancels (pytorch/pytorch#1)"


def test_an_error_beside_an_infinite_term_is_seen():
    expected = oracle.forward(
        "binary_cross_entropy_with_logits",
        [np.array([np.inf]), np.array([1.0]), None],
        {"reduction": "none"},
        "float32",
    )
    assert accuracy.ulp_error(np.array([5.0], np.float32), expected) > 1e6


def test_absence_is_news_only_where_every_processor_shows_it():
    deviation = KnownDeviation((), (), (), 1, "", dtypes=("float16", "float32"))
    assert [deviation.is_due(dtype) for dtype in ("float16", "float32", "float64")] == [False, True, False]


def test_a_backend_is_held_to_what_it_promises(monkeypatch):
    monkeypatch.setattr(accuracy, "KNOWN_DEVIATIONS", ())
    off = [1 + 5 * 2**-23]
    assert assess(off, [1.0], [0.0]).status == "ok"
    verdict = assess(off, [1.0], [0.0], promised=4.0)
    assert (verdict.status, verdict.budget_ulp) == ("failed", 4)


def test_hand_written_backends_promise_four_ulp_and_one_in_narrow_types():
    import backends

    b = backends.load("numpy")
    assert b.promised_ulp("softplus", mode="forward", dtype="float32") == 4
    assert b.promised_ulp("softplus", mode="forward", dtype="bfloat16") == 1
    assert b.promised_ulp("gelu", mode="backward", dtype="float64") == 7
    assert b.promised_ulp("softmax", mode="forward", dtype="float64") == np.inf


def test_the_mean_is_over_the_sample_and_outside_known_deviations(known):
    exact, x = [1.0] * 4, [0.0, 0.0, 6.0, 0.0]
    got = [1.0, 1 + 2 * 2**-23, 1 + 50 * 2**-23, 1 + 7 * 2**-23]
    assert assess(got, exact, x, n_sample=3).mean_ulp == 1
    assert assess(got, exact, x).mean_ulp == 3
