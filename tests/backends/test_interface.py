"""The interface of design: names, loading, ops as methods, vjp, derivative, supports, bind, and clear errors."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import backends
from backends.catalogue import OPS
from backends.interface import BackendUnavailable, Gap, NotSupported

INSTALLED = [name for name in backends.names() if backends.missing(name) is None]


@pytest.fixture(params=INSTALLED)
def b(request):
    return backends.load(request.param)


def test_numpy_is_first_and_all_five_are_there():
    assert backends.names()[0] == "numpy"
    assert {"numpy", "numba", "numba-parallel", "jax", "torch"} <= set(backends.names())


def test_importing_backends_imports_no_framework():
    code = (
        "import sys, backends; backends.names(); "
        "print(sorted({'numpy', 'numba', 'jax', 'torch'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.strip() == "[]"


@pytest.mark.parametrize("name", INSTALLED)
def test_loading_one_backend_imports_no_other_framework(name):
    package = backends.declarations()[name].package
    code = (
        f"import sys, backends; backends.load({name!r}); "
        "print(sorted({'numba', 'jax', 'torch'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.strip() == str([package] if package != "numpy" else [])


def test_available_gives_devices_and_reasons():
    found = backends.available()
    assert found["numpy"] == ["cpu"]
    declared = {f"{n}-{d}" for n, declaration in backends.declarations().items() for d in declaration.devices}
    assert {f"{n}-{d}" for n in found for d in found[n]} | set(found.reasons) == declared
    assert all(found.reasons.values())


def test_identity(b):
    assert b.name in INSTALLED
    assert b.device == "cpu"
    assert b.version[0].isdigit()
    assert b.threads >= 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_arrays_go_in_and_out_unchanged(b, dtype):
    x = np.array([[1.5, -0.0, np.inf], [np.nan, 1e-3, -7]]).astype(dtype)
    native = b.asarray(x)
    assert b.dtype_of(native) == dtype
    back = b.to_numpy(native)
    assert back.dtype == x.dtype
    np.testing.assert_array_equal(back.astype(np.float64), x.astype(np.float64))
    assert b.dtype_of(b.asarray([1.0, 2.0], dtype=dtype)) == dtype


@pytest.mark.parametrize("dtype", ["foo", "float8_e4m3", "float128"])
def test_arrays_of_unknown_dtypes_are_refused_alike(b, dtype):
    with pytest.raises(ValueError, match=f"dtype: must be one of float16, bfloat16, float32, .*; got '{dtype}'"):
        b.asarray([1.0], dtype=dtype)


def test_asarray_copies(b):
    for _ in range(20):  # an asynchronous copy may win the race once
        x = np.ones(1_000_000)
        native = b.asarray(x)
        x[:] = 2
        assert (b.to_numpy(native) == 1).all()


def test_every_op_is_a_method_that_dir_lists(b):
    assert set(OPS) <= set(dir(b))
    x = b.asarray(np.array([-1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(b.to_numpy(b.relu(x)), [0, 0, 2])
    b.synchronize()


def test_inputs_may_be_given_by_name(b):
    x, t = b.asarray(np.array([1.0, 2.0])), b.asarray(np.array([0.0, 2.0]))
    assert float(b.to_numpy(b.mean_squared_error(prediction=x, target=t, reduction="sum"))) == 1.0


def test_bind_takes_host_arrays_and_each_mode(b):
    x = np.array([-1.0, 2.0], np.float32)
    forward = b.bind("leaky_relu", x, negative_slope=0.5)
    backward = b.bind(
        "leaky_relu", x, mode="backward", cotangent=np.array([1.0, 3.0], np.float32), negative_slope=0.5
    )
    both = b.bind("leaky_relu", x, mode="forward+backward", negative_slope=0.5)
    np.testing.assert_array_equal(b.to_numpy(forward()), [-0.5, 2])
    np.testing.assert_array_equal(b.to_numpy(backward()), [0.5, 3])
    y, gradient = both()
    np.testing.assert_array_equal(b.to_numpy(y), [-0.5, 2])
    np.testing.assert_array_equal(b.to_numpy(gradient), [0.5, 1])


def test_bound_callables_can_run_again_and_again(b):
    x = np.linspace(-3, 3, 7)
    run = b.bind("sigmoid", x, mode="backward")
    first = b.to_numpy(run())
    for _ in range(3):
        np.testing.assert_array_equal(b.to_numpy(run()), first)


def test_supports_is_true_or_a_falsy_gap_with_a_reason(b):
    for op in OPS:
        for dtype in ("float16", "bfloat16", "float32", "float64"):
            for mode in ("forward", "backward", "forward+backward"):
                assert b.supports(op, dtype=dtype, mode=mode) is True
    gap = b.supports("relu", mode="backward", allocation="inplace")
    assert isinstance(gap, Gap)
    assert not gap
    assert gap.reason


def test_every_backend_implements_each_op_or_declares_a_gap(b):
    for op in OPS:
        declared = any(op in gap.ops and not (gap.dtypes or gap.modes or gap.allocations) for gap in b.gaps)
        assert b.implements(op) != declared, op


def test_an_op_without_a_function_is_a_gap(b, monkeypatch):
    monkeypatch.setattr(b, "_functions", {})
    gap = b.supports("relu")
    assert str(gap) == f"{b.name} does not implement relu yet (todo)"
    with pytest.raises(NotSupported, match="does not implement relu yet"):
        b.relu(b.asarray(np.ones(3)))


def test_aliases_are_the_ops_themselves(b):
    x = b.asarray(np.array([-1.0, 2.0]))
    np.testing.assert_array_equal(b.to_numpy(b.swish(x)), b.to_numpy(b.silu(x)))
    g = b.asarray(np.ones(2))
    np.testing.assert_array_equal(b.to_numpy(b.vjp("swish")(g, x)), b.to_numpy(b.vjp("silu")(g, x)))
    assert float(b.to_numpy(b.bind("mse", x, x)())) == 0


def test_aliases_name_one_op_each_and_no_op():
    from backends.catalogue import ALIASES

    named = [alias for spec in OPS.values() for alias in spec.aliases]
    assert len(named) == len(set(named)) == len(ALIASES)
    assert not set(named) & set(OPS)


def test_optional_inputs_may_be_left_out_or_given_by_name(b):
    x, labels = b.asarray(np.array([[0.0, 1.0], [2.0, 0.0]])), b.asarray(np.array([0, 1]))
    weight = b.asarray(np.array([1.0, 3.0]))
    plain = b.to_numpy(b.cross_entropy(x, labels, reduction="none"))
    for weighted in (
        b.cross_entropy(x, labels, weight, reduction="none"),
        b.cross_entropy(x, labels, weight=weight, reduction="none"),
    ):
        np.testing.assert_allclose(b.to_numpy(weighted), plain * [1, 3], rtol=1e-14)
    run = b.bind("cross_entropy", x, labels, weight=np.array([1.0, 3.0]), reduction="none")
    np.testing.assert_allclose(b.to_numpy(run()), plain * [1, 3], rtol=1e-14)


def test_shapes_that_go_with_the_first_input(b):
    x = b.asarray(np.ones((4, 6)))
    with pytest.raises(ValueError, match=r"weight must have a shape that broadcasts .*\(4, 6\); got \(4,\)"):
        b.prelu(x, b.asarray(np.ones(4)))
    with pytest.raises(ValueError, match=r"weight must have shape \(6,\)"):
        b.cross_entropy(x, b.asarray(np.zeros(4, np.int64)), b.asarray(np.ones(4)))
    with pytest.raises(ValueError, match=r"glu: x must have an even length along axis -1; got 3"):
        b.glu(b.asarray(np.ones(3)))
    assert tuple(b.prelu(x, b.asarray(np.ones((4, 1)))).shape) == (4, 6)
    assert tuple(b.glu(x, axis=0).shape) == (2, 6)


def test_a_gap_is_raised_with_its_reason(b):
    with pytest.raises(NotSupported, match=r"relu: float64, backward, allocation 'inplace': .* \(never\)"):
        b.bind("relu", np.ones(3), mode="backward", allocation="inplace")


# --- bad input ------------------------------------------------------------------------------------------------


def test_unknown_backend_lists_the_names():
    with pytest.raises(ValueError, match=r"backend: unknown name 'tensorflow'; valid names: numpy, "):
        backends.load("tensorflow")


def test_unknown_device_lists_the_devices():
    with pytest.raises(ValueError, match=r"device: numpy runs on cpu; got 'tpu'"):
        backends.load("numpy", "tpu")


@pytest.mark.parametrize("name", [n for n in INSTALLED if "cuda" in backends.declarations()[n].devices])
def test_missing_device_says_why(name):
    if name in backends.available() and "cuda" in backends.available()[name]:
        pytest.skip(f"{name} has a CUDA device here")
    with pytest.raises(BackendUnavailable, match=f"{name}: .*no"):
        backends.load(name, "cuda")


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_must_be_positive(threads):
    with pytest.raises(ValueError, match="threads: must be at least 1"):
        backends.load("numpy", threads=threads)


def test_missing_package_names_what_to_install(monkeypatch):
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, real=backends.importlib.util.find_spec: None if name == "torch" else real(name),
    )
    with pytest.raises(BackendUnavailable, match=r"pip install 'activation-bench\[torch\]'"):
        backends.load("torch")


def test_unknown_op_names_the_nearest(b):
    with pytest.raises(AttributeError, match=r"op 'swoosh'; ops: step, relu"):
        b.swoosh
    with pytest.raises(ValueError, match="did you mean 'sigmoid'"):
        b.vjp("sigmoidd")
    with pytest.raises(ValueError, match="did you mean 'gelu'"):  # as at the command line, and not 'glu'
        b.supports("gleu")
    with pytest.raises(ValueError, match="unknown name"):
        b.bind("nonsense", np.ones(3))


def test_no_elementwise_derivative(b):
    with pytest.raises(ValueError, match="softmax has no elementwise derivative; ops that have one: step"):
        b.derivative("softmax")


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool", "complex128"])
def test_arrays_of_other_dtypes(b, dtype):
    with pytest.raises(TypeError, match=r"relu: x must be one of float32, float64.*; got "):
        b.relu(b.asarray(np.ones(3, dtype)))


def test_arrays_of_another_framework(b):
    with pytest.raises(
        TypeError, match=r"relu: x must be an array of the .* backend \(see asarray\); got builtins.list"
    ):
        b.relu([1.0, 2.0])


def test_mismatched_shapes(b):
    with pytest.raises(ValueError, match=r"target must have shape \(3,\) to go with prediction.*got \(4,\)"):
        b.mean_squared_error(b.asarray(np.ones(3)), b.asarray(np.ones(4)))


def test_mismatched_dtypes(b):
    with pytest.raises(TypeError, match="target must be float32 like prediction; got float64"):
        b.mean_squared_error(b.asarray(np.ones(3, np.float32)), b.asarray(np.ones(3)))


def test_wrong_number_of_arrays(b):
    with pytest.raises(TypeError, match=r"takes 2 arrays \(prediction, target\); got 1"):
        b.mean_squared_error(b.asarray(np.ones(3)))


def test_unknown_reduction(b):
    x = b.asarray(np.ones(3))
    with pytest.raises(ValueError, match=r"reduction must be one of 'mean', 'sum', 'none'; got 'average'"):
        b.mean_squared_error(x, x, reduction="average")


def test_unknown_parameter(b):
    with pytest.raises(TypeError, match=r"leaky_relu: unknown parameter 'slope'; it takes negative_slope"):
        b.leaky_relu(b.asarray(np.ones(3)), slope=0.1)


@pytest.mark.parametrize(
    ("op", "parameters", "error", "message"),
    [
        ("gelu", {"approximate": "erf"}, ValueError, "approximate must be one of 'none', 'tanh'"),
        ("leaky_relu", {"negative_slope": -1.0}, ValueError, "negative_slope must be at least 0"),
        ("leaky_relu", {"negative_slope": "steep"}, TypeError, "negative_slope must be a number"),
        ("leaky_relu", {"negative_slope": True}, TypeError, "negative_slope must be a number; got True"),
        ("leaky_relu", {"negative_slope": None}, TypeError, "negative_slope must be a number; got None"),
        ("leaky_relu", {"negative_slope": float("nan")}, ValueError, "negative_slope must be finite; got nan"),
        ("celu", {"alpha": 0}, ValueError, "alpha must be more than 0; got 0"),
        ("softmax", {"axis": 1.0}, TypeError, "axis must be an integer"),
        ("softmax", {"axis": 2}, ValueError, "axis must be from -2 to 1; got 2"),
    ],
)
def test_bad_parameters(b, op, parameters, error, message):
    with pytest.raises(error, match=message):
        getattr(b, op)(b.asarray(np.ones((2, 3))), **parameters)


def test_softmax_of_a_scalar(b):
    with pytest.raises(ValueError, match="a 0-d array has no axis"):
        b.softmax(b.asarray(np.ones(())))


@pytest.mark.parametrize(("labels", "wrong"), [([0, 3], 3), ([-1, 0], -1)])
def test_labels_out_of_range(b, labels, wrong):
    with pytest.raises(ValueError, match=f"labels must be from 0 to 2; got {wrong}"):
        b.softmax_cross_entropy_with_integer_labels(b.asarray(np.ones((2, 3))), b.asarray(np.array(labels)))


def test_ignored_labels_may_be_out_of_range_but_no_others(b):
    x = b.asarray(np.ones((2, 3), np.float32))
    losses = b.cross_entropy(x, b.asarray(np.array([-100, 1])), ignore_index=-100, reduction="none")
    np.testing.assert_allclose(b.to_numpy(losses), [0, np.log(3)], rtol=1e-6)
    with pytest.raises(ValueError, match=r"labels must be from 0 to 2, or -100; got 3"):
        b.cross_entropy(x, b.asarray(np.array([-100, 3])), ignore_index=-100)
    with pytest.raises(ValueError, match=r"label_smoothing must be at most 1"):
        b.cross_entropy(x, b.asarray(np.array([0, 1])), label_smoothing=1.5)
    with pytest.raises(TypeError, match=r"ignore_index must be an integer"):
        b.cross_entropy(x, b.asarray(np.array([0, 1])), ignore_index=1.5)


def test_labels_must_be_integers(b):
    with pytest.raises(TypeError, match="labels must be int32 or int64; got float64"):
        b.softmax_cross_entropy_with_integer_labels(b.asarray(np.ones((2, 3))), b.asarray(np.ones(2)))


def test_labels_of_the_wrong_shape(b):
    with pytest.raises(ValueError, match=r"labels must have shape \(2,\)"):
        b.softmax_cross_entropy_with_integer_labels(
            b.asarray(np.ones((2, 3))), b.asarray(np.zeros((2, 1), np.int64))
        )


def test_cotangent_of_the_wrong_shape_or_dtype(b):
    x = b.asarray(np.ones(3))
    with pytest.raises(ValueError, match=r"g must have the output's shape \(3,\)"):
        b.vjp("relu")(b.asarray(np.ones(2)), x)
    with pytest.raises(TypeError, match="g must be float64 like x; got float32"):
        b.vjp("relu")(b.asarray(np.ones(3, np.float32)), x)


def test_unknown_mode_and_allocation(b):
    with pytest.raises(ValueError, match="mode: must be one of forward, backward"):
        b.bind("relu", np.ones(3), mode="sideways")
    with pytest.raises(ValueError, match="allocation: must be one of fresh, reuse, inplace"):
        b.bind("relu", np.ones(3), allocation="recycled")
