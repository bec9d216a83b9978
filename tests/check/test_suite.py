"""The correctness suite itself: what is exact takes longest, and is computed once for all backends."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import backends
from benchmarks import test_correctness as suite
from benchmarks.check import samples, search
from benchmarks.measure import harness
from benchmarks.measure.pool import CaseError
from benchmarks.record.schema import Check


def called(backend, device, what, *arguments):
    """Answer as a worker does that computes with NumPy, whatever it is called."""
    if what == "promised_ulp":
        return 1.0  # written by hand, and so checked at every length
    if what == "flushes_subnormals":
        return False
    raise AssertionError(what)


def evaluated(check, arrays, g, parameters, **_):
    numpy = backends.load("numpy")
    if g is None:
        return getattr(numpy, check.op)(*arrays, **parameters)
    return numpy.vjp(check.op)(g, *arrays, **parameters)


def settled(found, backend, device):
    assert found.status == "ok", found.reason


HARNESS = SimpleNamespace(
    pool=SimpleNamespace(call=called), evaluations=SimpleNamespace(of=evaluated), settle=settled
)


@pytest.mark.parametrize(
    ("check", "op", "dtypes"),
    [
        (suite.test_lengths, "relu", ()),
        (suite.test_parameters, "leaky_relu", ("float64",)),
        (suite.test_ends_of_parameters, "leaky_relu", ("float32",)),
        (suite.test_ends_of_parameters, "negative_log_likelihood", ("float32",)),
    ],
)
def test_what_is_exact_is_computed_once_for_all_backends(check, op, dtypes, monkeypatch):
    monkeypatch.setattr(samples, "LENGTHS", range(1, 34))  # in both modes more than were once remembered
    for kept in (suite._special, suite._of_length, suite._ordinary):
        kept.cache_clear()  # of tests that ran before in this process
    computed, attempt = [], search.attempt
    monkeypatch.setattr(search, "attempt", lambda *a, **more: computed.append(a) or attempt(*a, **more))
    n_computed = []
    for backend in ("one", "other"):
        for mode in suite.CHECKED_MODES:
            check(HARNESS, op, mode, *dtypes, backend, "cpu")
        n_computed.append(len(computed))
    assert n_computed[0] == n_computed[1] > 0


@pytest.mark.parametrize(
    ("saved", "outcome"), [("output", pytest.skip.Exception), ("input", pytest.fail.Exception)]
)
def test_only_gradients_that_nobody_asked_for_are_skipped_where_a_backend_is_named(saved, outcome):
    """All of `.ci/gpu` failed, as it names the backends: JAX has no gradients that start from an output."""

    def refused(*_, **__):
        raise CaseError("unavailable", "its gradients start from what its own forward pass saved (todo)")

    named = harness.Harness(None, None, required=frozenset({"jax"}))
    named.evaluations = SimpleNamespace(of=refused)
    with pytest.raises(outcome, match="its own forward pass"):
        suite._evaluate(named, Check("relu", "backward", "float32", "jax", "cpu", saved), (), None, {})
