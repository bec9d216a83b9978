"""Sides: what a name opens, what its workers import, and what is left behind."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import venv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.commands.ab import _differences, _told_apart
from benchmarks.measure import sides
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.record.schema import Case
from tests.job import RIGHT
from tests.repositories import git
from tests.trees import copied


@pytest.fixture
def repository(tmp_path):
    """Make a repository with two commits, whose backends/ differ in one line, and a tag."""
    folder = tmp_path / "repository"
    (folder / "backends").mkdir(parents=True)
    (folder / "backends" / "interface.py").touch()  # what tells that it is whole
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
    with pytest.raises(ValueError, match=f"{python}: is not a working Python"), sides.opened(".", Path(python)):
        pass


def test_the_label_says_what_the_name_does_not(repository):
    with sides.opened("HEAD", repository=repository) as side:
        assert side.label == f"HEAD ({side.commit[:12]})"
    with sides.opened(side.commit[:9], repository=repository) as side:
        assert side.label == side.commit[:9]


def test_the_label_of_a_folder_says_what_it_is_a_checkout_of(repository, tmp_path):
    commit = git(repository, "rev-parse", "--short=12", "HEAD")
    with sides.opened(str(repository)) as side:
        assert side.label == f"{repository} ({commit})"
    (repository / "backends" / "__init__.py").write_text("WHICH = 'uncommitted'\n")
    with sides.opened(str(repository)) as side:
        assert side.label == f"{repository} ({commit}, changed)"
    shutil.copytree(repository / "backends", tmp_path / "copy" / "backends")
    with sides.opened(str(tmp_path / "copy")) as side:
        assert side.label == str(tmp_path / "copy")


def test_revisions_are_those_of_the_repository_that_one_stands_in(repository, monkeypatch):
    (repository / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(repository / "deep" / "down")
    with sides.opened("HEAD~1") as side:
        assert read(side) == "WHICH = 'old'\n"
        assert side.checkout == repository


@pytest.mark.parametrize("target", ["/etc/hostname", "../../../outside"])
def test_a_link_that_leads_out_of_a_revision_is_refused(repository, target):
    (repository / "backends" / "link").symlink_to(target)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "link")
    with (
        pytest.raises(ValueError, match=r"this revision cannot be exported: .*link"),
        sides.opened("HEAD", repository=repository),
    ):
        pass


@pytest.fixture
def project(tmp_path):
    """Make a repository that holds a backend of its own, and a module in a folder that is on the path."""
    folder = tmp_path / "project"
    (folder / "backends").mkdir(parents=True)
    (folder / "src").mkdir()
    shutil.copy(RIGHT / "backends" / "right_backend.py", folder / "backends" / "mine_backend.py")
    (folder / "src" / "kernels.py").write_text("print('committed')\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    (folder / "src" / "kernels.py").write_text("print('uncommitted')\n")
    return folder


def test_of_somebody_s_own_backends_the_whole_revision_is_exported(project):
    with sides.opened("HEAD", repository=project) as side:
        assert not side.whole
        assert side.declared() == sides.Declared(("example",), ("example",))
        assert (side.folder / "src" / "kernels.py").read_text() == "print('committed')\n"


def imported(side, path, module="kernels"):
    """Run a module as a worker of a side does; return what it prints, and its last words."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(side.command(module), env=environment, capture_output=True, text=True, check=False)
    return done.stdout, (done.stderr.strip().splitlines() or [""])[-1]


def test_what_a_backend_imports_of_its_project_is_of_its_revision(project):
    with sides.opened("HEAD", repository=project) as side:
        assert imported(side, project / "src")[0] == "committed\n"
    with sides.opened(str(project), repository=project) as side:
        assert imported(side, project / "src")[0] == "uncommitted\n"


def test_what_would_come_from_the_checkout_is_refused(project, tmp_path):
    """As an installation does that refers to it: the same module would be measured on both sides."""
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "sitecustomize.py").write_text(
        "import importlib.machinery as m, sys\n"
        "class Finder:\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        return m.PathFinder.find_spec(name, [{str(project / 'src')!r}]) if name == 'kernels' else None\n"
        "sys.meta_path.append(Finder)\n"
    )
    with sides.opened("HEAD", repository=project) as side:
        printed, words = imported(side, tmp_path / "installed")
        assert printed == ""
        assert (
            f"kernels lies at {project}/src/kernels.py, and not in what is measured: it would be the same" in words
        )


def test_no_other_folder_of_backends_is_on_the_path_of_a_side(project, tmp_path):
    (tmp_path / "other" / "backends").mkdir(parents=True)
    shutil.copy(project / "backends" / "mine_backend.py", tmp_path / "other" / "backends" / "their_backend.py")
    (tmp_path / "names.py").write_text(
        f"import backends, sys\nprint({str(tmp_path / 'other')!r} in sys.path, len(backends.__path__))\n"
    )
    path = os.pathsep.join(map(str, (tmp_path / "other", tmp_path)))
    with sides.opened("HEAD", repository=project) as side:
        assert imported(side, path, "names")[0] == "False 2\n"


def test_two_environments_of_one_revision_are_told_apart_by_their_names(repository):
    side = sides.Side(".", None, repository, Path(sys.executable), "abc")
    other = replace(side, python=Path("/elsewhere/new/bin/python"))
    named = _told_apart(side, other, (None, Path("new/bin/python")))
    assert [each.label for each in named] == ["this environment (abc)", "new/bin/python (abc)"]
    assert [each.python for each in named] == [side.python, other.python]
    assert _told_apart(side, side, (None, None)) == (side, side)
    assert _told_apart(side, replace(other, name="v1"), (None, None))[0].label == ". (abc)"


def test_versions_are_those_of_the_environment():
    found = sides.versions(Path(sys.executable), ("numpy", "no-such-package"))
    assert found == {"numpy": np.__version__, "python": platform.python_version()}
    assert sides.versions(Path(sys.executable), ("yaml", "jinja2"))["jinja2"] == importlib.metadata.version(
        "jinja2"
    )


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
    folder = copied(tmp_path / "altered", "backends")
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
