"""Markers, and not the names of a test's arguments, say which cases it gets."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from pytest_benchmark import plugin

from backends.catalogue import OPS
from benchmarks.machine import resources
from benchmarks.plan import arguments
from benchmarks.plugin import options, suites
from benchmarks.record.schema import DTYPES
from tests.job import ROOT, SMALL, Job

SELECTED = ("--op", "relu", "tanh", "--backend", "numpy", "--size", "1000", "--mode", "forward")
BOTH, CORRECTNESS = "benchmarks", "benchmarks/test_correctness.py"


def config_of(*given, paths=(BOTH,)):
    """Return the configuration of a run of `paths` with these options."""
    parser = pytest.Parser(_ispytest=True)
    plugin.pytest_addoption(parser)
    options.pytest_addoption(parser)
    option = parser.parse(given)
    option.markexpr = "not certification and not full"
    return SimpleNamespace(
        option=option, args=list(paths), rootpath=ROOT, invocation_params=SimpleNamespace(dir=ROOT)
    )


def given(marker, *arguments, config=None, **choices):
    """Return the parameters that a test with a marker and these arguments gets, and their names."""
    found = []
    mark = pytest.Mark(marker, (), choices, _ispytest=True)
    metafunc = SimpleNamespace(
        definition=SimpleNamespace(get_closest_marker=lambda name: mark if name == marker else None),
        fixturenames=list(arguments),
        parametrize=lambda names, rows, ids=None: found.append((list(names), [tuple(row) for row in rows])),
    )
    suites.parametrize(metafunc, config or config_of(*SELECTED))
    return found


def checked(*given_options, paths=(BOTH,), **choices):
    """Return what a run checks: its ops, types and modes."""
    ((_, rows),) = given(
        "correctness", "op", "dtype", "mode", config=config_of(*given_options, paths=paths), **choices
    )
    return tuple(set(values) for values in zip(*rows, strict=True))


@pytest.mark.parametrize(
    ("paths", "expression", "more", "refused"),
    [
        ([BOTH], "not certification and not full", [], True),
        (["benchmarks/test_timing.py::test_timing"], "", [], True),
        ([BOTH], "call_cost", [], True),
        ([BOTH], "certification", [], False),
        ([BOTH], "not certification", ["--benchmark-disable"], False),
        ([CORRECTNESS, "tests"], "not certification", [], False),
    ],
)
def test_times_are_not_taken_in_several_processes_at_once(paths, expression, more, refused):
    config = config_of(*more, paths=paths)
    config.option.dist, config.option.markexpr = "load", expression
    if refused:
        with pytest.raises(
            pytest.UsageError, match=r"-n: several processes would disturb each other's times; measure without -n"
        ):
            options._refuse_distribution(config)
    else:
        options._refuse_distribution(config)


def test_distributed_times_are_refused_before_anything_is_written(tmp_path):
    job = Job(tmp_path / "results", *SELECTED, "-n", "2", check=4)
    (line,) = job.output.strip().splitlines()
    assert line.startswith("ERROR: -n: several processes")
    assert not (tmp_path / "results").exists()


def left_out(function, *given_options, paths=(BOTH,)):
    """Tell whether a run makes no tests of a function of the correctness suite."""
    collector = SimpleNamespace(iter_markers=lambda: [pytest.mark.correctness.mark])
    return suites.is_left_out(collector, function, config_of(*given_options, paths=paths))


@pytest.mark.parametrize("arguments", [("shape",), ("device",), ("op", "rule"), ()])
def test_a_test_without_a_marker_gets_no_cases(arguments):
    assert not given("other", *arguments)


def test_a_test_that_checks_gets_what_it_takes_as_arguments():
    ((names, rows),) = given("correctness", "harness", "op", "device")
    assert names == ["op", "device"]
    assert rows == [("relu", "cpu"), ("tanh", "cpu")]


@pytest.mark.parametrize(
    ("numbers", "found"),
    [((), ["usual"]), (("2",), ["usual"]), (("2", "2"), ["usual"]), (("4", "1", "4"), ["1thread", "4threads"])],
)
def test_several_numbers_of_threads_are_teams_and_one_is_that_of_the_run(numbers, found):
    option = config_of(*["--threads"] * bool(numbers), *numbers).option
    assert [policies.team for policies in arguments.chosen(option).policies] == found
    assert arguments.threads(option) == max(map(int, numbers), default=resources.default_threads())


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "x", "2threads"])
def test_a_number_of_threads_that_is_none_is_an_error_that_says_what_is_allowed(number):
    with pytest.raises(pytest.UsageError, match="--threads: must be a whole number, at least 1; got"):
        config_of("--threads", "1", number)


def test_this_process_cannot_have_several_numbers_of_threads():
    several = config_of("--threads", "1", "2", "--in-process").option
    with pytest.raises(pytest.UsageError, match="--threads: must be one number with --in-process"):
        options._refuse_contradictions(several)


def test_a_run_that_times_checks_what_it_times():
    for paths in ((BOTH,), (".",), (f"{suites.TIMING}::test_timing", CORRECTNESS), (str(ROOT),)):
        assert checked("--op", "relu", paths=paths) == ({"relu"}, {"float32"}, {"forward", "backward"})
    assert checked("--op", "relu", "--dtype", "float16", "--mode", "forward") == (
        {"relu"},
        {"float16"},
        {"forward"},
    )
    assert checked("--op", "relu", "--mode", "forward+backward")[2] == {"forward", "backward"}


def test_a_run_that_times_checks_its_ops_in_every_way_on_request():
    assert checked("--op", "relu", "--check", "all") == ({"relu"}, set(DTYPES), {"forward", "backward"})
    assert len(checked("--check", "all")[0]) == 6


def test_the_correctness_suite_alone_checks_everything_and_less_on_request():
    assert checked(paths=(CORRECTNESS, "tests")) == (set(OPS), set(DTYPES), {"forward", "backward"})
    assert checked("--check", "timed", paths=(CORRECTNESS,))[1] == {"float32"}


def test_a_test_that_chooses_a_type_itself_is_not_made_where_nobody_asks_for_it():
    @pytest.mark.correctness(dtypes=("float64",), ops=("relu",))
    def in_double():
        pass

    assert left_out(in_double)
    assert not left_out(in_double, "--dtype", "float64", "--op", "relu")
    assert left_out(in_double, "--dtype", "float64", "--op", "tanh")
    assert not left_out(in_double, paths=(CORRECTNESS,))
    assert checked("--check", "all", dtypes=("float64",))[1] == {"float64"}


def test_what_takes_long_is_checked_in_a_run_that_times_on_request_alone():
    @pytest.mark.correctness(dtypes=("float32",), thorough=True)
    def long():
        pass

    assert left_out(long, "--op", "relu")
    assert not left_out(long, "--op", "relu", "--check", "all")
    assert not left_out(long, paths=(CORRECTNESS,))


def test_gradients_from_the_output_are_checked_where_they_are_timed():
    @pytest.mark.correctness(modes=("backward",), saved="output")
    def from_output():
        pass

    assert left_out(from_output, "--op", "relu")
    assert not left_out(from_output, "--op", "relu", "--saved", "input", "output")
    assert not left_out(from_output, "--op", "relu", "--check", "all")
    assert not left_out(from_output, paths=(CORRECTNESS,))


def test_a_search_is_of_everything_and_made_only_on_request():
    @pytest.mark.certification
    def search():
        pass

    assert left_out(search)
    config = config_of()
    config.option.markexpr = "certification"
    collector = SimpleNamespace(iter_markers=lambda: [pytest.mark.correctness.mark])
    assert not suites.is_left_out(collector, search, config)
    assert not left_out(lambda: None)
    plain = SimpleNamespace(iter_markers=list)
    assert not suites.is_left_out(plain, search, config_of()), "others' tests are not ours to leave out"


def test_a_test_of_what_a_call_costs_gets_backends_and_devices():
    assert given("call_cost", "backend", "device") == [(["backend", "device"], [("numpy", "cpu")])]


def test_a_test_that_times_gets_cases_as_strings_and_names_the_case_again():
    ((names, rows),) = given("timing", "case")
    params = dict(zip(names, rows[0], strict=True))
    assert params.items() >= {"op": "relu", "shape": "1000", "backend": "numpy"}.items()
    assert all(isinstance(value, str) for row in rows for value in row)
    item = SimpleNamespace(
        callspec=SimpleNamespace(params=params), get_closest_marker=lambda name: name == "timing"
    )
    assert str(suites.case_of(item)) == "relu-forward-float32-1000-numpy-cpu"


def test_the_backends_that_are_checked_are_each_named_once():
    def item(marker, **params):
        return SimpleNamespace(
            callspec=SimpleNamespace(params=params), get_closest_marker=lambda name: name == marker or None
        )

    items = [item("correctness", backend=name, device="cpu", op=op) for op in "ab" for name in ("numpy", "jax")]
    items += [item("correctness", op="a", device="cpu"), item("timing", backend="torch", device="cpu")]
    assert suites.checked_places(items) == [("numpy", "cpu"), ("jax", "cpu")]


def test_modules_that_are_no_backend_are_named_at_the_start(tmp_path):
    path = tmp_path / "backends" / "s3_backend.py"
    path.parent.mkdir()
    path.write_text('PACKAGE = "boto3"\n')
    job = Job(
        tmp_path / "results", *SMALL, "--backend", "numpy", "--collect-only", pythonpath=tmp_path, check=0
    )  # fmt: skip
    shown = os.path.relpath(path, ROOT)
    line = f"activation-bench: passed over {shown}: it does not declare EXTRA, DEVICES, VARIANTS"
    assert line in job.output.splitlines()
