"""Somebody's own function as a backend: called as it is, its gaps told apart from its mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backends.candidates import Candidate, WrongResult, opened
from backends.interface import BackendUnavailable, NotSupported
from backends.numpy.candidate import create

TRIED = Path(__file__).parents[1] / "tried"


def tried(folder, body, op="tanh", vjp=""):
    path = folder / "kernels.py"
    path.write_text(f"import numpy as np\n{body}\n", encoding="utf-8")
    return create(Candidate("f", str(path), "f", op, vjp), "cpu", 1)


def test_a_function_is_called_as_it_is(tmp_path):
    backend = tried(tmp_path, "def f(x):\n    return np.tanh(x)")
    x = np.linspace(-2, 2, 5, dtype=np.float32)
    np.testing.assert_array_equal(backend.tanh(x), np.tanh(x))
    assert backend.supports("tanh", dtype="float32")
    assert backend._kernel("tanh", {}).__name__ == "f"
    assert "was given as tanh" in backend.supports("relu").reason


def test_a_type_that_it_raises_for_is_a_gap_and_names_what_it_raised(tmp_path):
    body = (
        "def f(x):\n    if x.dtype != np.float32:\n        raise TypeError('float32 only')\n    return np.tanh(x)"
    )
    backend = tried(tmp_path, body)
    assert backend.supports("tanh", dtype="float32")
    gap = backend.supports("tanh", dtype="float64")
    assert gap.reason == "f does not take float64: TypeError: float32 only"
    with pytest.raises(NotSupported, match="does not take float64"):
        backend.tanh(np.zeros(3))


def test_what_raises_for_every_type_is_a_mistake_and_no_gap(tmp_path):
    backend = tried(tmp_path, "def f(x):\n    raise ZeroDivisionError('never')")
    assert backend.supports("tanh", dtype="float32")
    with pytest.raises(ZeroDivisionError):
        backend.tanh(np.zeros(3, np.float32))


def test_numpy_has_no_gradient_but_the_one_that_is_given(tmp_path):
    assert "--vjp" in tried(tmp_path, "def f(x):\n    return np.tanh(x)").supports("tanh", mode="backward").reason
    body = "def f(x):\n    return np.tanh(x)\ndef h(g, x):\n    return g * (1 - np.tanh(x) ** 2)"
    backend = tried(tmp_path, body, vjp="h")
    assert backend.supports("tanh", mode="backward")
    g, x = np.full(3, 2, np.float32), np.zeros(3, np.float32)
    np.testing.assert_array_equal(backend.vjp("tanh")(g, x), g)


def test_parameters_are_given_by_name_where_the_function_takes_them(tmp_path):
    x = np.array([-1.0, 1.0])
    body = "def f(x, *, alpha):\n    return np.where(x > 0, x, alpha * np.expm1(x))"
    taking = tried(tmp_path, body, "elu")
    np.testing.assert_allclose(taking.elu(x, alpha=2.0), [2 * np.expm1(-1), 1])
    lacking = tried(tmp_path, "def f(x):\n    return np.where(x > 0, x, np.expm1(x))", "elu")
    np.testing.assert_allclose(lacking.elu(x), [np.expm1(-1), 1])
    with pytest.raises(NotSupported, match=r"alpha=2\.0: f takes no parameter alpha"):
        lacking.elu(x, alpha=2.0)


def test_a_mean_that_is_a_number_is_an_array_here(tmp_path):
    body = "def f(prediction, target):\n    return np.mean(np.square(prediction - target))"
    found = tried(tmp_path, body, "mean_squared_error").mean_squared_error(np.ones(4), np.zeros(4))
    assert (type(found), found.shape, float(found)) == (np.ndarray, (), 1.0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return np.tanh(x).astype(np.float64)", "f is float64 for float32 inputs"),
        ("return np.tanh(x)[:-1]", r"f has shape \(2,\) where \(3,\) is due"),
        ("return list(x)", "f is a list, and not a ndarray"),
    ],
)
def test_a_result_of_another_kind_is_said_to_be_one(tmp_path, body, said):
    with pytest.raises(WrongResult, match=said):
        tried(tmp_path, f"def f(x):\n    {body}").tanh(np.zeros(3, np.float32))


@pytest.mark.parametrize(
    ("file", "function", "said"),
    [
        ("fails_to_import.py", "f", "fails_to_import.py: fails to import: ModuleNotFoundError: No module named"),
        ("broken.py", "not_there", "broken: has no not_there"),
        ("broken.py", "not_a_function", "broken: has int, which cannot be called, as its not_a_function"),
        ("broken.py", "two_arrays", r"two_arrays\(x, y\): is to be called as two_arrays\(x\) for tanh"),
    ],
)
def test_what_cannot_be_imported_or_called_is_unavailable_in_one_line(file, function, said):
    with pytest.raises(BackendUnavailable, match=said) as caught:
        opened(Candidate(function, str(TRIED / file), function, "tanh"))
    assert "\n" not in str(caught.value)


def test_a_file_of_a_package_may_import_from_it_by_dots(tmp_path):
    package = tmp_path / "of_somebody"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "parts.py").write_text("from numpy import tanh\n")
    (package / "kernels.py").write_text("from .parts import tanh\ndef f(x):\n    return tanh(x)\n")
    kernel = opened(Candidate("f", str(package / "kernels.py"), "f", "tanh"))
    assert kernel.call({})(0.0) == 0.0


KERNELS = {
    "numba": "from numba import njit\nimport numpy as np\n@njit\ndef f(x):\n    return np.tanh(x)\n",
    "torch": "import torch\ndef f(x):\n    return torch.tanh(x)\n",
    "jax": "import jax.numpy as jnp\ndef f(x):\n    return jnp.tanh(x)\n",
}


@pytest.mark.parametrize("framework", KERNELS)
def test_every_framework_s_functions_compute_and_are_differentiated_if_that_differentiates(framework, tmp_path):
    pytest.importorskip(framework)
    from importlib import import_module

    path = tmp_path / f"of_{framework}.py"
    path.write_text(KERNELS[framework])
    made = import_module(f"backends.{framework}.candidate")
    backend = made.create(Candidate("f", str(path), "f", "tanh"), "cpu", None)
    x = np.linspace(-2, 2, 5)
    np.testing.assert_allclose(backend.to_numpy(backend.tanh(backend.asarray(x))), np.tanh(x), rtol=1e-12)
    if framework == "numba":
        assert not backend.supports("tanh", mode="backward")
        return
    assert backend.pulls_back
    gradient = backend.vjp("tanh")(backend.asarray(np.ones(5)), backend.asarray(x))
    np.testing.assert_allclose(backend.to_numpy(gradient), 1 - np.tanh(x) ** 2, rtol=1e-9)
    bound = backend._bind(
        backend.kernel.spec, "backward", (backend.asarray(x),), backend.asarray(np.ones(5)), {}, "fresh"
    )
    np.testing.assert_allclose(backend.to_numpy(bound()), 1 - np.tanh(x) ** 2, rtol=1e-9)


def test_what_autograd_cannot_follow_has_no_gradient(tmp_path):
    pytest.importorskip("torch")
    from backends.torch.candidate import create as create_of_torch

    path = tmp_path / "detached.py"
    path.write_text("import torch\ndef f(x):\n    return torch.tanh(x.detach())\n")
    backend = create_of_torch(Candidate("f", str(path), "f", "tanh"), "cpu", None)
    assert backend.supports("tanh")
    assert "f has no gradient: RuntimeError" in backend.supports("tanh", mode="backward").reason
