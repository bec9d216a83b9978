"""What is exchanged in the harness, or in the clock, is named."""

from __future__ import annotations

import builtins
import copyreg
import time
from multiprocessing import connection, reduction
from types import SimpleNamespace

import numpy as np

from benchmarks.measure import calls, prepared
from benchmarks.measure.disturbance import Reading
from benchmarks.measure.prepared import Prepared
from benchmarks.measure.seal import Seal


def test_nothing_is_broken_where_nothing_was_exchanged():
    assert Seal().broken() == []


def test_an_exchanged_function_clock_method_or_code_is_named(monkeypatch):
    seal = Seal()
    monkeypatch.setattr(prepared, "perf_counter", lambda: 0.0)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(Prepared, "time", lambda self, iterations: 0.0)
    monkeypatch.setattr(prepared.outputs, "__code__", (lambda result: (result,)).__code__)
    found = seal.broken()
    for name in ("prepared.perf_counter", "prepared.Prepared.time", "prepared.outputs"):
        assert f"benchmarks.measure.{name}" in found
    assert "time.sleep" in found
    monkeypatch.undo()
    assert seal.broken() == []


def test_what_the_harness_looks_and_speaks_by_is_sealed_too(monkeypatch):
    """Results could be computed only when they are looked at, or times become shorter on their way."""
    seal = Seal()
    monkeypatch.setattr(np, "asarray", lambda array: array)
    monkeypatch.setattr(connection, "_ForkingPickler", None)
    monkeypatch.setattr(reduction.ForkingPickler, "dumps", classmethod(lambda *_: b""))
    monkeypatch.setattr(reduction.ForkingPickler, "reducer_override", lambda *_: NotImplemented, raising=False)
    monkeypatch.setitem(reduction.ForkingPickler._extra_reducers, np.ndarray, lambda array: (np.zeros, (1,)))
    monkeypatch.setattr(np.array_equal.__wrapped__, "__code__", (lambda a1, a2, equal_nan=False: True).__code__)
    monkeypatch.setattr(calls._forward.__wrapped__, "__code__", (lambda backend, case: None).__code__)
    assert seal.broken() == [
        "benchmarks.measure.calls._forward",
        "multiprocessing.connection._ForkingPickler",
        "multiprocessing.reduction.ForkingPickler.dumps",
        "multiprocessing.reduction.ForkingPickler.reducer_override",
        "numpy.array_equal",
        "numpy.asarray",
        "numpy.ndarray",
    ]


def test_a_method_that_an_instance_hides_is_named():
    ready = Prepared(SimpleNamespace(asynchronous=False), [lambda: None])
    assert Seal().broken(ready) == []
    ready.time = lambda iterations: 0.0
    assert Seal().broken(ready) == ["Prepared.time"]


def test_a_name_that_hides_one_of_python_s_or_of_a_base_is_named(monkeypatch):
    seal = Seal()
    monkeypatch.setattr(prepared, "len", lambda items: 0, raising=False)
    monkeypatch.setattr(Reading, "__reduce__", lambda self: (Reading, ((0.0,), None, 0.0)))
    monkeypatch.setattr(builtins, "sum", lambda items: 0)
    assert seal.broken() == [
        "benchmarks.measure.disturbance.Reading.__reduce__",
        "benchmarks.measure.prepared.len",
        "builtins.sum",
    ]


def test_a_name_that_hides_nothing_is_no_matter(monkeypatch):
    seal = Seal()
    monkeypatch.setattr(prepared, "a_cache", lambda: None, raising=False)
    monkeypatch.setattr(Prepared, "count", 0, raising=False)
    assert seal.broken() == []


def test_how_somebody_has_a_class_of_the_harness_pickled_is_named(monkeypatch):
    seal = Seal()
    monkeypatch.setitem(copyreg.dispatch_table, complex, copyreg.pickle_complex)
    assert seal.broken() == []
    monkeypatch.setitem(copyreg.dispatch_table, Reading, lambda reading: (Reading, ((0.0,), None, 0.0)))
    assert seal.broken() == ["benchmarks.measure.disturbance.Reading"]
