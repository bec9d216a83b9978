"""What backends are asked while they are checked: the first to be asked has the others begin."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.measure.evaluations import Evaluations
from benchmarks.record.schema import Check

PLACES = [("numpy", "cpu"), ("jax", "cpu"), ("torch", "cpu")]
ARRAYS = (np.ones(3, np.float32),)


def check(backend):
    return Check("elu", "forward", "float32", backend, "cpu")


@pytest.fixture
def asked():
    """Return whom a pool was asked for what, ahead and at last, and what asks it."""
    told = []

    def ask_ahead(request):
        told.append(("ahead", request))

    def outcome(request):
        told.append(("outcome", request))
        return request.arguments[2][0]

    return told, Evaluations(SimpleNamespace(ask_ahead=ask_ahead, outcome=outcome), PLACES)


def said(told):
    return [(what, request.backend) for what, request in told]


def test_all_begin_with_what_the_first_is_asked_and_are_asked_once(asked):
    told, evaluations = asked
    for backend, _ in PLACES:
        assert evaluations.of(check(backend), ARRAYS, None, {"alpha": 1.0}, for_all=True) is ARRAYS[0]
    assert said(told) == [("ahead", "jax"), ("ahead", "torch")] + [("outcome", name) for name, _ in PLACES]
    assert [told[3][1], told[4][1]] == [told[0][1], told[1][1]]
    assert told[2][1].arguments == ("elu", "forward", ARRAYS, None, {"alpha": 1.0}, False, "input")


def test_another_sample_parameter_or_layout_is_another_question(asked):
    told, evaluations = asked
    for arrays, alpha, strided in ((ARRAYS, 1, False), (ARRAYS, 2, False), (ARRAYS, 1, True), (([1],), 1, False)):
        evaluations.of(check("jax"), arrays, None, {"alpha": alpha}, strided=strided, for_all=True)
    assert said(told).count(("ahead", "numpy")) == 4
    assert len({request for _, request in told}) == 4 * 3


def test_what_one_backend_alone_is_asked_concerns_no_other(asked):
    told, evaluations = asked
    evaluations.of(check("jax"), ARRAYS, None, {})
    assert said(told) == [("outcome", "jax")]


def test_who_is_asked_twice_answers_twice(asked):
    told, evaluations = asked
    for _ in range(2):
        evaluations.of(check("jax"), ARRAYS, None, {}, for_all=True)
    assert said(told) == [("ahead", "numpy"), ("ahead", "torch"), ("outcome", "jax"), ("outcome", "jax")]
