"""Sides: what a name opens, what its workers import, and what is left behind."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import numpy as np
import pytest

from benchmarks.commands.ab import _differences
from benchmarks.measure import sides
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.record.schema import Case


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """Make a repository with two commits, whose backends/ differ in one line, and a tag."""
    folder = tmp_path / "repository"
    (folder / "backends").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for text in ("old", "new"):
        (folder / "backends" / "__init__.py").write_text(f"WHICH = '{text}'\n")
        (folder / "pyproject.toml").write_text(f"# {text}\n")
        (folder / "other.txt").write_text(text)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", text)
    git(folder, "tag", "v2")
    return folder


def read(side):
    return (side.folder / "backends" / "__init__.py").read_text()


@pytest.mark.parametrize(("name", "text"), [("HEAD", "new"), ("HEAD~1", "old"), ("v2", "new"), ("main^", "old")])
def test_a_revision_is_exported_as_it_was_committed(repository, name, text):
    (repository / "backends" / "__init__.py").write_text("WHICH = 'uncommitted'\n")
    with sides.opened(name, repository=repository) as side:
        assert read(side) == f"WHICH = '{text}'\n"
        assert side.commit == git(repository, "rev-parse", name)
        assert side.dependencies() == {"pyproject.toml": f"# {text}\n"}
        assert not (side.folder / "other.txt").exists()
    assert not side.folder.exists()


def test_a_python_before_3_11_4_exports_too(repository, monkeypatch):
    extract = tarfile.TarFile.extractall

    def without_filter(tar, path):
        extract(tar, path)

    monkeypatch.setattr(tarfile.TarFile, "extractall", without_filter)
    with sides.opened("HEAD", repository=repository) as side:
        assert read(side) == "WHICH = 'new'\n"


def test_a_folder_is_taken_as_it_is(repository):
    (repository / "backends" / "__init__.py").write_text("WHICH = 'uncommitted'\n")
    with sides.opened(str(repository)) as side:
        assert read(side) == "WHICH = 'uncommitted'\n"
        assert side.commit is None
    assert repository.exists()


def test_nothing_of_the_checkout_is_touched(repository):
    (repository / "backends" / "__init__.py").write_text("WHICH = 'uncommitted'\n")
    (repository / "new.txt").write_text("untracked")

    def state():
        files = {p: p.read_bytes() for p in repository.rglob("*") if p.is_file()}
        return files, git(repository, "worktree", "list"), git(repository, "status", "--porcelain")

    before = state()
    with pytest.raises(KeyboardInterrupt), sides.opened("HEAD~1", repository=repository):
        raise KeyboardInterrupt
    assert state() == before


@pytest.mark.parametrize(
    ("name", "words"),
    [("nonsense", "no such revision"), ("--all", "--all: "), ("HEAD:backends", "HEAD:backends: ")],
)
def test_what_is_no_revision_is_refused(repository, name, words):
    with pytest.raises(ValueError, match=words), sides.opened(name, repository=repository):
        pass


def test_a_folder_or_revision_without_backends_is_refused(repository, tmp_path):
    with pytest.raises(ValueError, match="this folder holds no backends/"), sides.opened(str(tmp_path)):
        pass
    git(repository, "rm", "-rqf", "backends")
    git(repository, "commit", "-qm", "without")
    with (
        pytest.raises(ValueError, match="this revision holds no backends/"),
        sides.opened("HEAD", repository=repository),
    ):
        pass


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false"])
def test_a_python_that_does_not_run_is_refused(python):
    with pytest.raises(ValueError, match=f"{python}: is no Python"), sides.opened(".", Path(python)):
        pass


def test_the_label_says_what_the_name_does_not(repository):
    with sides.opened("HEAD", repository=repository) as side:
        assert side.label == f"HEAD ({side.commit[:12]})"
    with sides.opened(side.commit[:9], repository=repository) as side:
        assert side.label == side.commit[:9]


def test_versions_are_those_of_the_environment():
    found = sides.versions(Path(sys.executable), ("numpy", "no-such-package"))
    assert found == {"numpy": np.__version__}


@pytest.fixture
def environment(tmp_path):
    """Make another environment: this one's packages, but a scipy of version 0.0, which nothing imports."""
    venv.create(tmp_path / "environment", symlinks=True)
    (packages,) = (tmp_path / "environment" / "lib").glob("python*/site-packages")
    about = packages / "scipy-0.0.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 0.0\n")
    (packages / "others.pth").write_text("\n".join(entry for entry in sys.path if "site-packages" in entry))
    return tmp_path / "environment" / "bin" / "python"


def test_a_side_may_have_an_environment_of_its_own(environment):
    with sides.opened(".", environment) as side:
        pool = Pool(1, command=side.command())
        try:
            assert pool.facts("numpy", "cpu").backend_version == np.__version__
            assert pool._workers["numpy", "cpu", 0]._process.args[0] == str(environment)
        finally:
            pool.close()
    assert list(_differences(side, sides.Side(".", None, side.folder, Path(sys.executable)))) == [
        f"scipy: 0.0 on the base's side, {importlib.metadata.version('scipy')} on the head's."
    ]


@pytest.fixture
def altered(tmp_path):
    """Copy the backends: NumPy's says that it is another version, PyTorch's is gone."""
    folder = tmp_path / "altered"
    shutil.copytree(sides.OWN / "backends", folder / "backends", ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / "backends" / "numpy" / "backend.py"
    module.write_text(module.read_text() + "\nNumpyBackend.version = 'altered'\n")
    shutil.rmtree(folder / "backends" / "torch")
    return folder


def test_a_worker_computes_with_its_side_s_backends(altered):
    with sides.opened(str(altered)) as side:
        pool = Pool(1, command=side.command())
        try:
            assert pool.facts("numpy", "cpu").backend_version == "altered"
            pool.call("numpy", "cpu", "prepare", Case("relu", "forward", "float32", (10,), "numpy", "cpu"))
        finally:
            pool.close()


def test_a_side_may_be_older_than_what_backends_are_asked_to_say_of_themselves(altered):
    base = altered / "backends" / "base.py"
    text = base.read_text()
    assert "def settings(self)" in text
    base.write_text(text.replace("def settings(self)", "def earlier_name(self)"))
    with sides.opened(str(altered)) as side:
        pool = Pool(1, command=side.command())
        try:
            assert pool.facts("numpy", "cpu").settings is None
        finally:
            pool.close()


def test_a_backend_that_a_side_lacks_is_unavailable_and_not_taken_from_here(altered):
    with sides.opened(str(altered)) as side:
        pool = Pool(1, command=side.command())
        try:
            with pytest.raises(CaseError) as refusal:
                pool.facts("torch", "cpu")
        finally:
            pool.close()
    assert refusal.value.ending.status == "unavailable"
    assert "torch on cpu: not among these backends" in refusal.value.ending.reason
