"""Spellings: what is taken as meant, and said so; what is refused, with the nearest valid one."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace

import pytest

import backends
from backends.catalogue import ALIASES, OPS
from benchmarks.__main__ import COMMANDS, _parsed, load, make_parser
from benchmarks.commands import ab, export, recommend, trend
from benchmarks.plan import arguments, selection, spelling
from benchmarks.plan.presets import PRESETS
from benchmarks.plan.selection import Selection
from benchmarks.record.schema import CHOICES, DTYPES, MODES

TAKEN = [
    ("--op", "GELU", "gelu"),
    ("--op", "Log-Softmax", "log_softmax"),
    ("--op", "swish", "silu"),
    ("--backend", "pytorch", "torch"),
    ("--backend", "Numba_Parallel", "numba-parallel"),
    ("--dtype", "fp32", "float32"),
    ("--dtype", "f32", "float32"),
    ("--dtype", "fp16", "float16"),
    ("--dtype", "bf16", "bfloat16"),
    ("--dtype", "double", "float64"),
    ("--device", "gpu", "cuda"),
    ("--device", "GPU:1", "cuda:1"),
    ("--mode", "fwd", "forward"),
    ("--mode", "bwd", "backward"),
    ("--mode", "fwd+bwd", "forward+backward"),
    ("--size", "1k", 1_000),
    ("--size", "1M", 1_000_000),
    ("--size", "1_000_000", 1_000_000),
    ("--size", "1.5M", 1_500_000),
    ("--size", "1Mi", 1_048_576),
    ("--size", "32x10", (32, 10)),
    ("--shape", "32X10", (32, 10)),
    ("--shape", "32×10", (32, 10)),
    ("--allocation", "Reuse", "reuse"),
]  # fmt: skip
"""Each option and spelling, and what it is taken for."""

AS_IT_IS = [
    ("--op", "gelu", "gelu"),
    ("--device", "cuda:0", "cuda:0"),
    ("--device", "cuda:1", "cuda:1"),
    ("--size", "1000", 1_000),
    ("--size", "1e6", 1_000_000),
    ("--shape", "32x10", (32, 10)),
]

REFUSED = [
    ("--op", "gleu", r"unknown name 'gleu' \(did you mean 'gelu'\?\); valid names: step, relu"),
    ("--op", "gelu,relu", "write several as gelu relu; got 'gelu,relu'$"),
    ("--op", "GELU;swish", "write several as gelu silu; got"),
    ("--preset", "quik", r"\(did you mean 'quick'\?\); valid names: quick, standard, full, llm$"),
    ("--backend", "pytroch", r"\(did you mean 'torch'\?\); valid names: numpy"),
    (
        "--backend",
        "tensorflow",
        r"TensorFlow has no backend here; Keras is.*docs/extending.md\); got.*valid names",
    ),
    (
        "--device",
        "mps",
        r"no backend here runs on mps; PyTorch can, in.*your own.*valid names: cpu, cuda$",
    ),
    ("--device", "cpu:0", "must be a kind of device, or a GPU's number as in cuda:1; got 'cpu:0'"),
    ("--device", "cuda:one", "as in cuda:1; got 'cuda:one'"),
    ("--shape", "32,10", r"got '32,10'; did you mean 32x10\?$"),
    ("--size", "32,10", "got '32,10'; a shape is written 32x10; write several as 32 10$"),
    ("--size", "1,048,576", r"got '1,048,576'; did you mean 1048576\?$"),
    ("--size", "1.5", "must be a whole number of elements, at least 1; got '1.5'; the nearest is 2$"),
    ("--size", "0", "got '0'; the nearest is 1$"),
    ("--size", "k", "must be a whole number of elements, at least 1; got 'k'$"),
    ("--size", "inf", "must be a whole number of elements, at least 1; got 'inf'$"),
    ("--ops", "relu", r"unrecognized arguments: --ops relu; did you mean --op \(for --ops\)\?$"),
    ("--sizes", "10", r"did you mean --size \(for --sizes\)\?$"),
    ("--size=10 --dtpye", "float32", r"did you mean --dtype \(for --dtpye\)\?$"),
    ("--nothing-like-it", "", "unrecognized arguments: --nothing-like-it$"),
]


class RefusedError(Exception):
    pass


class Parser(spelling.Parser):
    def error(self, message):
        raise RefusedError(message)


def parsed(*line, add=arguments.add_options):
    """Return what a command line of the options that all commands share says."""
    parser = Parser(prog="x")
    add(parser.add_argument)
    return parser.parse_args(line)


@pytest.mark.parametrize(("option", "text", "value"), TAKEN)
def test_what_is_spelt_otherwise_is_taken_as_meant_and_said(option, text, value):
    found = parsed(option, text)
    assert getattr(found, option[2:]) == [value]
    read_as = "--shape 32x10" if option == "--size" and isinstance(value, tuple) else spelling.shown(value)
    assert spelling.readings(found) == (f"{option} {text} is read as {read_as}",)


@pytest.mark.parametrize(("option", "text", "value"), AS_IT_IS)
def test_of_a_usual_spelling_nothing_is_said(option, text, value):
    found = parsed(option, text)
    assert (getattr(found, option[2:]), spelling.readings(found)) == ([value], ())


@pytest.mark.parametrize(("option", "text", "message"), REFUSED)
def test_what_is_wrong_is_refused_with_the_nearest_valid_one(option, text, message):
    with pytest.raises(RefusedError, match=message):
        parsed(*option.split(), *text.split())


def test_a_preset_is_one_and_said_too():
    found = parsed("--preset", "Quick")
    assert (found.preset, spelling.readings(found)) == ("quick", ("--preset Quick is read as quick",))


def test_no_two_names_are_one_spelling():
    for names in ((*OPS, *ALIASES), backends.names(on_request=True), DTYPES, MODES, PRESETS, *CHOICES.values()):
        folded = {spelling.fold(name): name for name in names if ALIASES.get(name) is None}
        assert len(folded) == len([name for name in names if ALIASES.get(name) is None])
    for alias, name in ALIASES.items():
        assert spelling.meant(alias, OPS, ALIASES) == name


def test_repeated_options_add_up_and_take_the_place_of_a_default():
    found = parsed("--op", "gelu", "relu", "--op", "Tanh", "--size", "1k", "--size", "32x10")
    assert found.op == ["gelu", "relu", "tanh"]
    chosen = arguments.chosen(found)
    assert (chosen.sizes, chosen.whole_shapes) == ((1000,), ((32, 10),))
    parser = argparse.ArgumentParser()
    action = {"action": spelling.Read, "parse": arguments.dtype, "nargs": "+", "default": ("float32", "float64")}
    parser.add_argument("--dtype", **action)
    assert parser.parse_args(["--dtype", "fp16"]).dtype == ["float16"]
    assert parser.parse_args([]).dtype == ("float32", "float64")


def test_one_value_is_not_called_several():
    parser = Parser()
    parser.add_argument("--op", action=spelling.Read, parse=arguments.op_name)
    with pytest.raises(RefusedError, match="it takes one, such as gelu; got 'gelu,relu'"):
        parser.parse_args(["--op", "gelu,relu"])


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (recommend, "--op GELU --dtype bf16 --mode bwd --size 1M --device gpu --cache Cold"),
        (ab, "main . --op GELU --dtype bf16 --mode bwd --size 1M --device gpu --cache Cold"),
        (export, "--format md --op GELU --dtype bf16 --mode bwd --device gpu --shape 10X2"),
        (trend, "--op GELU --dtype bf16 --mode bwd --device gpu --shape 10X2"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_command_that_takes_the_same_takes_every_spelling(command, line):
    parser = Parser()
    command.add_arguments(parser)
    found = parser.parse_args(line.split())

    def only(name):
        value = getattr(found, name)
        return value[0] if isinstance(value, list) else value

    assert (only("op"), only("dtype"), only("mode"), only("device")) == ("gelu", "bfloat16", "backward", "cuda")
    assert "--dtype bf16 is read as bfloat16" in spelling.readings(found)
    assert getattr(found, "shape", None) in (None, ["10x2"])


def test_records_of_an_installation_with_other_names_can_be_chosen():
    found = parsed("--backend", "somebody-else-s", "--op", "their_op", add=arguments.add_filters)
    assert arguments.filters(found) == {"op": ["their_op"], "backend": ["somebody-else-s"]}


def test_a_device_that_only_a_backend_of_ones_own_declares_is_valid(monkeypatch):
    declared = backends.declarations()
    own = replace(declared["torch"], devices=("mps",))
    monkeypatch.setattr(backends, "declarations", lambda: declared | {"own": own})
    assert parsed("--device", "mps:1").device == ["mps:1"]


def test_one_of_several_gpus_is_measured_on_what_runs_there():
    chosen = Selection(ops=("relu",), sizes=(8,), modes=("forward",), devices=("cpu", "cuda:1"))
    assert {case.device for case in selection.timing_cases(chosen)} == {"cpu", "cuda:1"}
    assert "relu-forward-float32-8-torch-cuda:1" in map(str, selection.timing_cases(chosen))
    assert arguments.contradiction(parsed("--backend", "numpy", "--device", "cuda:1")) == (
        "--device: numpy runs on cpu; got cuda:1"
    )
    with pytest.raises(ValueError, match="device: numpy runs on cpu; got 'cuda:1'"):
        backends.load("numpy", "cuda:1")


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("--launch graph --allocation reuse --device cpu", "--launch: graph is for a device that replays graphs"),
        ("--launch graph --allocation reuse --device cpu cuda", "--launch: the CPU has eager alone"),
        ("--launch eager graph --device cuda", "so it needs --allocation reuse; got fresh"),
        ("--launch eager graph --allocation fresh reuse --device cpu cuda:1", None),
        ("--launch eager", None),
    ],
)
def test_graphs_are_refused_where_there_are_none_to_measure(line, refused):
    found = arguments.contradiction(parsed(*line.split()))
    assert found is None if refused is None else refused in found


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((32_000,), "--size 32000 is 31x1024 (whole rows alone)"),
        ((2_048, 320), "--size 2048 is 2x1024 and --size 320 is 1x320"),
    ],
)
def test_a_size_for_an_op_along_an_axis_says_which_shape_it_takes(sizes, told):
    chosen = Selection(ops=("relu", "softmax"), sizes=sizes)
    assert list(selection.rows_told(chosen)) == [f"along an axis, as for softmax, {told}"]
    assert not list(selection.rows_told(Selection(ops=("relu",), sizes=sizes)))
    assert not list(selection.rows_told(Selection(ops=("softmax",))))


@pytest.mark.parametrize(
    ("text", "n_bytes"), [("0", 0), ("64MiB", 2**26), ("1.5GB", 1_500_000_000), ("10k", 10_000)]
)
def test_an_amount_of_memory_has_a_unit_or_is_in_bytes(text, n_bytes):
    assert arguments.memory(text) == n_bytes


@pytest.mark.parametrize("text", ["lots", "-1", "nan", "1TB"])
def test_what_is_no_amount_of_memory_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"such as 64MiB or 1.5GB; got '{text}'"):
        arguments.memory(text)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_an_example_and_what_it_is_within_a_screen(name, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kernels.py").write_text("def fast_gelu(x): ...\n")
    with pytest.raises(SystemExit, match="0"):
        make_parser(chosen=[name]).parse_args([name, "--help"])
    before = re.split("^(?:positional arguments|options):", capsys.readouterr().out, flags=re.MULTILINE)[0]
    assert len(before.splitlines()) <= 24
    assert f"\nExample: python -m benchmarks {name} " in before
    example = before.partition("Example: ")[2].split()
    assert _parsed(example[3:]).command == name


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_says_its_default(name):
    parser = argparse.ArgumentParser()
    load(name).add_arguments(parser)
    assert not list(undefaulted(parser))


def test_each_option_of_pytest_says_its_default(pytestconfig):
    ours = pytestconfig._parser.getgroup("activation-bench").options
    assert len(ours) > 20
    assert not [option.dest for option in ours if "default: " not in option.attrs()["help"]]


def undefaulted(parser):
    """Yield the options that need not be given and do not say what holds then."""
    for each in parser._actions:
        if isinstance(each.choices, dict):
            for below in each.choices.values():
                yield from undefaulted(below)
        elif not each.required and each.option_strings and each.dest != "help" and "default: " not in each.help:
            yield each.dest
