"""The wheel, installed and used as a user does: from a project whose folders are called as ours are."""

from __future__ import annotations

import email
import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from tests.commands.test_run import TRAP
from tests.job import RIGHT, ROOT

SOURCES = ("backends", "benchmarks", "activation_bench.py", "pyproject.toml", "setup.py", "README.md")
SMALL = ("--op", "relu", "--size", "1000", "--mode", "forward", "--dtype", "float32")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Copy what a package is built of."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(sources, tmp_path_factory):
    """Build the wheel, without a network."""
    folder = tmp_path_factory.mktemp("wheels")
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(sources))
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Install the wheel."""
    return made(tmp_path_factory.mktemp("installed") / "environment", str(wheel))


def made(folder, *arguments):
    """Install into an environment of its own, which sees this one's other packages; return its folder."""
    venv.create(folder, symlinks=True)
    # Their own .pth files are not read, and so the editable installation of the checkout is not found.
    (packages,) = (folder / "lib").glob("python*/site-packages")
    (packages / "others.pth").write_text(str(Path(pytest.__file__).parents[1]) + "\n")
    pip("--python", str(folder / "bin" / "python"), "install", *arguments)
    return folder


def pip(*arguments):
    words = [word for word in arguments if word in ("wheel", "install")]
    at = arguments.index(words[0]) + 1
    command = [sys.executable, "-m", "pip", "-q", *arguments[:at], "--no-deps", "--no-index", *arguments[at:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path):
    """Return a folder whose modules and settings would end any run that they entered, with one backend."""
    for name in ("benchmarks/__init__.py", "backends/__init__.py", "backends/numpy.py", "conftest.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(TRAP)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    shutil.copy(RIGHT / "backends" / "right_backend.py", tmp_path / "backends")
    return tmp_path


class Environment:
    """What is installed, called from a folder."""

    def __init__(self, folder, cwd):
        self._folder, self._cwd = folder, cwd

    def __call__(self, program, *words, check=(0,), **variables):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment |= {"NO_COLOR": "1", "COLUMNS": "200"} | variables
        command = [str(self._folder / "bin" / program), *words]
        done = subprocess.run(command, cwd=self._cwd, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode in check, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def call(installed, project):
    return Environment(installed, project)


def test_the_wheel_is_one_package_and_has_all_files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        texts = {name: archive.read(name).decode() for name in names if "dist-info" in name}
    about, packaged = ({name for name in names if ("dist-info" in name) is wanted} for wanted in (True, False))
    assert {name.partition("/")[0] for name in packaged} == {"activation_bench"}
    for folder in ("backends", "benchmarks"):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        sources = {path for path in files if path.suffix not in (".pyc", ".nbi", ".nbc")}
        assert {f"activation_bench/{path.relative_to(ROOT).as_posix()}" for path in sources} <= packaged
    (entries,) = (texts[name] for name in about if name.endswith("entry_points.txt"))
    assert entries.split() == ["[console_scripts]", "activation-bench", "=", "activation_bench:main"]
    (top,) = (texts[name] for name in about if name.endswith("top_level.txt"))
    assert top.split() == ["activation_bench"]
    (metadata,) = (email.message_from_string(texts[name]) for name in about if name.endswith("METADATA"))
    assert metadata["Name"] == "activation-bench"


def test_every_module_is_imported_under_its_own_name_alone(call):
    code = (
        "import importlib, pkgutil, sys, activation_bench as top\n"
        "for found in pkgutil.walk_packages(top.__path__, 'activation_bench.'):\n"
        "    others = {'__main__', 'elsewhere', 'jax', 'numba', 'numba_cuda', 'peers', 'torch'}\n"
        "    if not others & set(found.name.split('.')):\n"
        "        importlib.import_module(found.name)\n"
        "assert not {'backends', 'benchmarks'} & set(sys.modules)\n"
        "print(len(sys.modules), top.OpSpec.__module__)\n"
    )
    assert "activation_bench.backends.interface" in call("python", "-P", "-c", code)


def test_a_run_and_what_follows_it_use_no_file_of_the_project(call, project):
    text = call(
        "activation-bench", "run", *SMALL, "--backend", "numpy", "numba", PYTEST_ADDOPTS="--no-such-option"
    )
    records = pd.read_csv(project / "results" / "latest" / "records.csv")
    assert dict(zip(records["backend"], records["status"], strict=True)) == {"numpy": "ok", "numba": "ok"}
    assert "activation-bench recommend" in text
    assert "python -m" not in text
    assert "1,000 elements: num" in call("activation-bench", "recommend", "--op", "relu", "--size", "1000")
    assert "report.html" in call("activation-bench", "report")
    page = (project / "results" / "latest" / "report.html").read_text(encoding="utf-8")
    assert "activation-bench run timing --op relu" in page


def test_a_backend_in_a_folder_on_the_path_is_measured(call, project):
    """It imports ours as `backends`, and lies beside modules that must not be imported."""
    call("activation-bench", "run", *SMALL, "--backend", "example", "numpy", PYTHONPATH=".")
    records = pd.read_csv(project / "results" / "latest" / "records.csv")
    assert dict(zip(records["backend"], records["status"], strict=True)) == {"example": "ok", "numpy": "ok"}


def test_two_folders_are_compared(call, project, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(project / "backends", other / "backends")
    source = (other / "backends" / "right_backend.py").read_text()
    (other / "backends" / "right_backend.py").write_text(source + "\n\ndef relu(x, out=None):\n    return x + 1\n")
    text = call("activation-bench", "ab", ".", str(other), *SMALL, "--time-budget", "20s", check=(1,))
    assert "now failing: head: forward cross-check" in text


def test_the_checkout_s_own_backends_are_compared_by_what_is_installed(call, project):
    words = ("ab", str(ROOT), str(ROOT), *SMALL, "--backend", "numpy", "--time-budget", "5s")
    call("activation-bench", *words, check=(0, 3))  # decided or not, since a busy machine has no time to
    (written,) = (project / "results" / "ab").glob("*/comparison.json")
    (case,) = json.loads(written.read_text())["cases"]
    assert case["op"] == "relu"
    assert case["verdict"] in ("same", "ambiguous")


def test_the_tests_of_a_project_get_no_option_of_ours(call, project):
    (project / "test_own.py").write_text(
        "def test_own(pytestconfig):\n    assert not hasattr(pytestconfig.option, 'op')\n"
    )
    command = ("python", "-m", "pytest", "-c", os.devnull, "--noconftest", "test_own.py")
    assert "1 passed" in call(*command)
    assert "unrecognized arguments: --op" in call(*command, "--op", "relu", check=(4,))


def test_an_editable_installation_has_the_command_and_the_checkout_s_names(sources, tmp_path):
    environment = made(tmp_path / "environment", "--no-build-isolation", "--editable", str(sources))
    call = Environment(environment, tmp_path)
    assert "usage: activation-bench" in call("activation-bench", "--help")
    places = call("python", "-P", "-c", "import activation_bench, backends, benchmarks; print(backends.__path__)")
    assert str(sources / "backends") in places


# --- packages that add something ------------------------------------------------------------------------------


def shown(name):
    """Return a module as docs/extending.md shows it."""
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    (text,) = re.findall(rf"<!-- {name} -->\n```python\n(.*?)```", page, re.DOTALL)
    return text


CUBES = {
    "cubes/__init__.py": "",
    "cubes/ops.py": shown("cubes/ops.py"),
    "cubes/backend.py": shown("cubes/backend.py"),
    "cubes-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: cubes\nVersion: 1.0\n",
    "cubes-1.0.dist-info/entry_points.txt": """
[activation_bench.backends]
cubes = cubes.backend

[activation_bench.ops]
cubes = cubes.ops
""",
}


@pytest.mark.parametrize("where", ["installed", "checkout"])
def test_a_backend_and_an_op_of_another_package_are_checked_and_timed(where, call, project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    for name, text in CUBES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    words = ("run", "--op", "cube", "--size", "1000", "--check", "all", "--backend", "cubes")
    path = os.pathsep.join([str(folder)] + [str(ROOT)] * (where == "checkout"))
    program = ("python", "-P", "-m", "benchmarks") if where == "checkout" else ("activation-bench",)
    call(*program, *words, PYTHONPATH=path)
    latest = project / "results" / "latest"
    records = pd.read_csv(latest / "records.csv")
    assert records.groupby("backend")["status"].agg(set).to_dict() == {"cubes": {"ok"}}
    accuracy = pd.read_csv(latest / "accuracy.csv")
    assert set(accuracy["status"]) == {"ok"}
    assert set(accuracy["dtype"]) == {"float32", "float64", "float16", "bfloat16"}
