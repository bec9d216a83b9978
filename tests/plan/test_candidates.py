"""Candidates on the command line: which function is meant, what it computes with, and what it is called."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace

import pytest

import backends
from benchmarks.exits import CannotTell
from benchmarks.plan import candidates
from benchmarks.plan.candidates import parse, plan

IMPORTS = {
    "import numpy as np\n": "numpy",
    "from scipy.special import erf\nimport numpy as np\n": "numpy",
    "import numpy as np\nimport numba\n": "numba",
    "import torch\nimport numpy as np\n": None,  # the function is NumPy's, and may call what is not
    "import jax\nimport torch\nimport numpy as np\n": None,
    "": None,
}
"""Imports of a file whose function uses NumPy, where it is imported, and the framework that they tell."""

DEFINITIONS = {
    "import torch, jax\ndef f(x):\n    return torch.tanh(x)\n": "torch",
    "import torch.nn.functional as F\nimport jax.numpy as jnp\ndef f(x):\n    return F.silu(x)\n": "torch",
    "import jax.numpy as jnp\nimport numpy as np\ndef f(x):\n    return jnp.tanh(x) * np.float32(1)\n": "jax",
    "import torch\nfrom jax import jit\n@jit\ndef f(x):\n    return x\n": "jax",
    "import numpy as np\nimport torch\nfrom numba import njit\n@njit\ndef f(x):\n    return np.tanh(x)\n": "numba",
    "import jax\ndef g(x):\n    return x\nf = jax.jit(g)\n": "jax",
    "import triton, torch\ndef f(x):\n    return kernel(x)\n": "torch",
    "import torch, jax\ndef f(x):\n    return torch.tanh(jax.numpy.tanh(x))\n": None,
}
"""Files with a function `f`, and the framework that is certain; None where none is."""


def place(folder, text, function="f", name="kernels.py"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return parse(f"{path}:{function}")


def framework(where):
    return plan([where], ["tanh"])[0].framework


@pytest.mark.parametrize(("imports", "expected"), IMPORTS.items(), ids=range(len(IMPORTS)))
def test_the_imports_of_a_file_tell_the_framework_or_it_must_be_given(tmp_path, imports, expected):
    body = "np.tanh(x)" if "numpy" in imports else "x * 2"
    where = place(tmp_path, f"{imports}def f(x):\n    return {body}\n")
    if expected is None:
        with pytest.raises(
            ValueError, match=r"--framework: must be given for .*, one of numpy, numba, torch, jax: its file"
        ):
            framework(where)
        assert plan([where], ["tanh"], framework="jax")[0].framework == "jax"
    else:
        assert framework(where) == expected


@pytest.mark.parametrize(("text", "expected"), DEFINITIONS.items(), ids=range(len(DEFINITIONS)))
def test_what_a_function_uses_outweighs_what_else_its_file_imports(tmp_path, text, expected):
    where = place(tmp_path, text)
    if expected is None:
        with pytest.raises(ValueError, match="--framework"):
            framework(where)
    else:
        assert framework(where) == expected


def test_a_function_of_a_framework_is_of_that_framework():
    assert framework(parse("numpy:tanh")) == "numpy"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kernels.py", "such as kernels.py:my_gelu; got 'kernels.py'"),
        ("kernels.py:", "such as kernels.py:my_gelu"),
        ("kernels.py:a b", "a function's name"),
        ("gelu", "must be a file or module, a colon and a function's name"),
        ("nowhere.py:f", "there is no file 'nowhere.py'"),
        ("no_such_module_of_mine:f", "there is no module 'no_such_module_of_mine'"),
    ],
)
def test_what_is_no_function_of_a_file_is_refused(text, said):
    with pytest.raises(argparse.ArgumentTypeError, match=said):
        parse(text)


def test_a_file_of_nearly_that_name_is_offered(tmp_path):
    (tmp_path / "kernels.py").touch()
    with pytest.raises(argparse.ArgumentTypeError, match=r"did you mean .*kernels\.py\?"):
        parse(f"{tmp_path}/kernel.py:f")


def test_a_function_that_the_file_lacks_is_refused_with_the_nearest(tmp_path):
    where = place(tmp_path, "import numpy as np\ndef fast_gelu(x):\n    return x\n", "fast_gleu")
    with pytest.raises(ValueError, match=r"kernels\.py has no function 'fast_gleu'; did you mean 'fast_gelu'\?"):
        plan([where], ["gelu"])


def test_a_file_that_is_no_python_is_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"kernels\.py: is not a Python file: .* in line 2"):
        plan([place(tmp_path, "x = 1\ndef f(:\n")], ["gelu"])


def test_the_gradient_is_the_function_of_that_name_or_the_one_that_is_named(tmp_path):
    text = "import numpy as np\ndef f(x):\n    return np.tanh(x)\ndef f_vjp(g, x):\n    return g\nh = f_vjp\n"
    where = place(tmp_path, text)
    assert plan([where], ["tanh"])[0].candidate.vjp == "f_vjp"
    assert plan([where], ["tanh"], vjp="h")[0].candidate.vjp == "h"
    with pytest.raises(ValueError, match=r"--vjp: kernels\.py has no function 'i'"):
        plan([where], ["tanh"], vjp="i")
    with pytest.raises(ValueError, match="--vjp: is for one candidate; got 2"):
        plan([where, where], ["tanh"], vjp="h")


def test_the_op_is_the_one_asked_for_or_the_one_that_the_function_is_named_after(tmp_path):
    text = "import numpy as np\ndef swish(x):\n    return np.tanh(x)\ndef f(x):\n    return np.tanh(x)\n"
    assert plan([place(tmp_path, text)], ["tanh"])[0].candidate.op == "tanh"
    named = place(tmp_path, text, "swish")
    assert plan([named], ["tanh", "silu"])[0].candidate.op == "silu"
    with pytest.raises(ValueError, match=r"--op: must name the one op that .*:f computes; got tanh and silu"):
        plan([place(tmp_path, text)], ["tanh", "silu"])


def test_names_are_those_of_functions_and_never_those_of_backends_or_of_each_other(tmp_path):
    text = "import numpy as np\ndef numpy(x):\n    return np.tanh(x)\ndef f(x):\n    return np.tanh(x)\n"
    places = [place(tmp_path, text, "numpy"), *(place(tmp_path, text, "f") for _ in range(3))]
    assert [each.candidate.name for each in plan(places, ["tanh"])] == ["kernels-numpy", "f", "kernels-f", "f-2"]


def test_candidates_are_backends_while_they_are_known_and_are_named_beside_others(tmp_path):
    where = place(tmp_path, "import numpy as np\ndef f(x):\n    return np.tanh(x)\n")
    before = backends.names()
    (planned,) = plan([where], ["tanh"], max_ulp=50.0)
    with candidates.known([replace(planned, like="torch")]):
        assert backends.candidate_names() == ("f",)
        declared = backends.candidate("f")
        assert (declared.package, declared.candidate) == ("numpy", "kernels.py:f")
        assert (declared.max_ulp, declared.like) == ("50.0", "torch")
        assert set(backends.names()) == {*before, "f"}
        assert backends.load("f").tanh(backends.load("f").asarray([0.0])).tolist() == [0.0]
    assert backends.names() == before
    assert backends.candidate("numpy") is None


def test_a_function_is_found_in_the_same_file_of_another_folder(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        (folder / "src").mkdir(parents=True)
        (folder / "src" / "kernels.py").write_text("def f(x):\n    return x\n")
    where = parse(f"{here}/src/kernels.py:f")
    assert candidates.moved(where, there, here, "base").source == str((there / "src" / "kernels.py").resolve())
    (there / "src" / "kernels.py").unlink()
    with pytest.raises(CannotTell, match=r"base: holds no src/kernels\.py"):
        candidates.moved(where, there, here, "base")
    with pytest.raises(ValueError, match="must be a file of this project"):
        candidates.moved(parse("json:loads"), there, here, "base")


def test_nothing_of_a_candidate_is_imported_to_plan_it(tmp_path):
    path = tmp_path / "kernels.py"
    path.write_text("import torch\nraise SystemExit('imported')\ndef f(x):\n    return torch.tanh(x)\n")
    code = (
        "import sys, json; from benchmarks.plan import candidates as c; "
        f"found = c.plan([c.parse({str(path)!r} + ':f')], ['tanh'])[0]; "
        "print(json.dumps([found.framework, 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["torch", False]
