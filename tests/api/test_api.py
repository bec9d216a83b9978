"""From Python: a run is measured, loaded, asked and drawn; a function of one's own is checked."""

from __future__ import annotations

import ast
import json

import numpy as np
import pytest

import activation_bench as ab
import backends
from backends.catalogue import OPS
from benchmarks import api
from benchmarks.commands.docs import ROOT
from benchmarks.exits import CannotTell
from benchmarks.record.schema import COLUMNS, PAIR_COLUMNS
from benchmarks.report.text import csv
from tests import synthetic


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return a folder with the tables of a made-up run in it, as its report left them."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "latest").mkdir()
    run = synthetic.run(records=synthetic.single_policy())
    for name, table in (("records", run.records), ("accuracy", run.accuracy)):
        (folder / "latest" / f"{name}.csv").write_text(csv.page(table), encoding="utf-8")
    return folder


# --- a run ------------------------------------------------------------------------------------------------------


def test_the_package_has_every_name_of_the_api_and_says_what_it_has():
    for name in api.__all__:
        assert getattr(ab, name) is getattr(api, name)
    assert ab.backends is backends
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        ab.mesure


def test_a_run_has_its_tables_as_frames(results):
    run = ab.load(results=results)
    assert list(run.records.columns) == [column.name for column in COLUMNS]
    assert {"numpy", "torch"} <= set(run.medians.columns)
    assert list(run.verdicts.columns) == [column.name for column in PAIR_COLUMNS]
    assert {"op", "backend", "status", "max_ulp"} <= set(run.accuracy.columns)
    assert "Six functions" in repr(run)
    assert "<table" in run._repr_html_()


def test_a_run_that_is_not_there_is_an_error_that_says_so(tmp_path):
    with pytest.raises(ValueError, match="no run has left"):
        ab.load(results=tmp_path)
    with pytest.raises(ValueError, match="nothing: no such run, number or file"):
        ab.load("nothing", results=tmp_path)


def test_the_answer_is_the_commands(results):
    answer = ab.recommend("logistic", 1e6, results=results)
    assert answer.best.backend in backends.names()
    assert str(answer).startswith("sigmoid forward, float32, 1,000,000 elements: ")
    assert answer.as_dict()["call"] == list(answer.call)
    assert answer.call[-1] in answer._repr_html_()
    assert str(ab.recommend("sigmoid", shape=[1_048_576], run=ab.load(results=results)))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"op": "gleu", "size": 10}, "gelu"),
        ({"op": "sigmoid"}, "size: must be given, or shape"),
        ({"op": "sigmoid", "size": 1.5}, "size: must be a whole number of elements, at least 1; got 1.5"),
        ({"op": "sigmoid", "size": 0}, "size: must be a whole number of elements, at least 1; got 0"),
        ({"op": "sigmoid", "size": 9, "shape": (2, 4)}, "size: must be the 8 elements of shape"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(results, asked, message):
    with pytest.raises(ValueError, match=message):
        ab.recommend(**asked, results=results)


def test_a_policy_that_there_is_not_is_refused(results):
    with pytest.raises(TypeError, match="cache, timing, memory, launch, saved besides; got alocation"):
        ab.recommend("sigmoid", 1e6, alocation="reuse", results=results)


def test_what_a_run_cannot_answer_is_said(results):
    with pytest.raises(CannotTell, match="--dtype: this run did not measure dtype float16"):
        ab.recommend("sigmoid", 1e6, dtype="float16", results=results)


def test_charts_are_figures_that_a_notebook_shows(results):
    (chart,) = ab.load(results=results).charts("speed", op="tanh")[:1]
    assert chart.layout.title.text.startswith("tanh, forward")
    assert {trace.name for trace in chart.data if trace.showlegend} >= {"numpy", "torch"}
    with pytest.raises(ValueError, match="kind: must be one of speed, front, curve; got 'sped'"):
        ab.load(results=results).charts("sped")


def test_options_are_those_of_the_command_line(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(api, "_carry_out", lambda command, echo: (asked.extend(command), (4, ["ERROR: no"]))[1])
    with pytest.raises(ab.RunFailed, match="ended with status 4:\nERROR: no") as failed:
        ab.measure("gelu", sizes=1e3, shapes=[(2, 3)], save="x", options=["--threads", "1"], results=tmp_path)
    assert failed.value.result is None
    assert asked[5:] == [
        "--preset=quick", f"--results={tmp_path}", "--op", "gelu", "--size", "1000.0", "--shape", "2x3",
        "--benchmark-save=x", "--threads", "1",
    ]  # fmt: skip


def test_a_run_is_measured_in_a_process_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = ab.measure("relu", backends="numpy", sizes=1000, modes="forward", save="mine", echo=True)
    assert run.medians["numpy"].gt(0).all()
    assert ab.load("mine").records.equals(run.records)
    assert ab.recommend("relu", 1000, run=run).best.backend == "numpy"
    assert "1 function" in capsys.readouterr().out
    with pytest.raises(ab.RunFailed, match=r"(?s)status 4:.*gelu"):
        ab.measure("gleu")


def test_the_notebook_runs_and_every_cell_shows_something(tmp_path, monkeypatch):
    """Its code cells in order, as a notebook runs them; what the last line of each returns can be shown."""
    monkeypatch.chdir(tmp_path)
    cells = json.loads((ROOT / "docs" / "notebook.ipynb").read_text("utf-8"))["cells"]
    names: dict[str, object] = {}
    shown = [last_of("".join(cell["source"]), names) for cell in cells if cell["cell_type"] == "code"]
    assert all("<" in each._repr_html_() for each in shown)


def last_of(source, names):
    """Run a cell; return what its last line is."""
    tree = ast.parse(source)
    last = tree.body.pop()
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


# --- a function of one's own ------------------------------------------------------------------------------------


def relu(x):
    return np.maximum(x, 0)


def relu_vjp(g, x):
    return np.where(x > 0, g, np.where(np.isnan(x), x, 0)).astype(x.dtype)


def test_a_right_function_is_right_forward_and_backward_in_each_type():
    found = ab.check(relu, "relu", vjp=relu_vjp, dtypes=["float32", "bfloat16"])
    assert found.right
    assert list(found.accuracy["mode"]) == ["forward", "backward"] * 2
    assert str(found).splitlines()[0].startswith("relu forward, float32: right, at most 0")
    assert "right" in found._repr_html_()


def test_a_function_wrong_at_one_place_is_wrong_and_where_is_said():
    found = ab.check(lambda x: np.where(x == 88, 89, np.maximum(x, 0)).astype(x.dtype), "relu")
    assert not found.right
    assert "WRONG: 1 of" in str(found)
    assert "at first input" in str(found)
    assert "got 89.0, exact 88.0" in str(found)
    assert ab.check(lambda x: np.where(x == 88, 89, np.maximum(x, 0)).astype(x.dtype), "relu", max_ulp=1e6).right


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: np.maximum(x, 0).astype(np.float64), "the result is float64 of shape"),
        (lambda x: np.maximum(x, 0)[1:], "the result is float32 of shape"),
        (lambda x: None, "the result is object of shape"),
    ],
)
def test_what_is_not_of_the_right_type_or_shape_is_wrong(function, message):
    found = ab.check(function, "relu")
    assert not found.right
    assert f"relu forward, float32: WRONG: {message}" in str(found)


def test_a_loss_is_checked_as_a_mean_and_unreduced():
    def mean(prediction, target):
        return np.mean((prediction - target) ** 2, dtype=np.float64).astype(prediction.dtype)

    assert ab.check(mean, "mean_squared_error").right
    assert ab.check(lambda p, t: (p - t) ** 2, "mean_squared_error", parameters={"reduction": "none"}).right
    assert not ab.check(mean, "mean_squared_error", parameters={"reduction": "sum"}).right


def test_parameters_say_which_function_it_is():
    slope = np.float32(0.2)

    def leaky(x):
        return np.where(x > 0, x, slope.astype(x.dtype) * x)

    assert ab.check(leaky, "leaky_relu", parameters={"negative_slope": float(slope)}).right
    assert not ab.check(leaky, "leaky_relu").right


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"op": "gleu"}, "gelu"),
        ({"op": "relu", "framework": "nunpy"}, "unknown name 'nunpy'"),
        ({"op": "relu", "dtypes": ["int8"]}, "dtypes: must be some of float32, .*; got int8"),
        ({"op": "softmax", "parameters": {"axis": 0}}, "parameters: axis must be -1"),
    ],
)
def test_what_cannot_be_checked_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        ab.check(relu, **asked)


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_framework_differentiates_the_function_itself(framework):
    if reason := backends.missing(framework):
        pytest.skip(reason)

    def loss(prediction, target):
        return ((prediction - target) ** 2).mean()

    found = ab.check(loss, "mean_squared_error", framework=framework)
    assert [each.check.mode for each in found.checks] == ["forward", "backward"]
    assert found.right
    assert not ab.check(lambda *both: 2 * loss(*both), "mean_squared_error", framework=framework).right


def test_optional_inputs_are_left_out():
    seen = []
    ab.check(lambda *arrays: seen.append(len(arrays)), "negative_log_likelihood")
    assert seen == [2]
    assert len(OPS["negative_log_likelihood"].inputs) == 3
