"""Sides of a comparison: which `backends/` is measured, and in which Python environment.

A side of a git revision is an export of that revision's `backends/` into a temporary folder: the checkout, its
index and its list of worktrees stay as they are, whatever happens.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

OWN = Path(__file__).resolve().parents[2]
DEPENDENCIES = ("pyproject.toml", "constraints.txt")
"""Files that say what an environment holds: sides that differ in them may need environments of their own."""


@dataclass(frozen=True)
class Side:
    """One side: `name` as given, `commit` if it is a revision, the `folder` with `backends/`, and its Python."""

    name: str
    commit: str | None
    folder: Path
    python: Path

    @property
    def label(self) -> str:
        """The side in a sentence: its name, and the commit that this is where it does not say so."""
        if self.commit is None or self.commit.startswith(self.name):
            return self.name
        return f"{self.name} ({self.commit[:12]})"

    def command(self) -> list[str]:
        """Return the command that starts a worker of this side, up to the worker's own arguments."""
        return [str(self.python), str(Path(__file__).with_name("elsewhere.py")), str(self.folder)]

    def dependencies(self) -> dict[str, str]:
        """Return the contents of the files that say what the environment holds, where the side has them."""
        return {
            name: (self.folder / name).read_text(encoding="utf-8")
            for name in DEPENDENCIES
            if (self.folder / name).is_file()
        }


@contextmanager
def opened(name: str, python: Path | None = None, repository: Path = OWN) -> Iterator[Side]:
    """Open a side: a folder that holds `backends/` (such as `.`), or a git revision of `repository`.

    Raises ValueError for a name that is neither, or a Python that does not run.
    """
    executable = _checked(python) if python else Path(sys.executable)
    if Path(name).is_dir():
        if not (Path(name) / "backends" / "__init__.py").is_file():
            raise ValueError(f"{name}: this folder holds no backends/; give a checkout or a git revision")
        yield Side(name, None, Path(name).resolve(), executable)
        return
    commit = _commit(name, repository)
    with TemporaryDirectory(prefix="activation-bench-") as temporary:
        folder = Path(temporary)
        _export(commit, folder, repository)
        yield Side(name, commit, folder, executable)


def _checked(python: Path) -> Path:
    """Return a Python's path, which is not resolved: a virtual environment's is a link, and found by its place."""
    try:
        subprocess.run([python, "-c", ""], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ValueError(f"{python}: is no Python that runs: {error}") from None
    return python.absolute()


def versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of those `packages` that an environment has."""
    code = (
        "import importlib.metadata as m, json, sys\n"
        "found = {}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    found = subprocess.run([python, "-c", code, *packages], check=True, capture_output=True, text=True)
    return dict(json.loads(found.stdout))


def _commit(revision: str, repository: Path) -> str:
    found = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode:
        reason = found.stderr.decode().strip() or "git knows no such revision, and it is no folder"
        raise ValueError(f"{revision}: {reason}")
    return found.stdout.decode().strip()


def _export(commit: str, folder: Path, repository: Path) -> None:
    listed = _git(repository, "ls-tree", "--name-only", commit, "backends", *DEPENDENCIES).stdout.decode().split()
    if "backends" not in listed:
        raise ValueError(f"{commit[:12]}: this revision holds no backends/")
    archive = _git(repository, "archive", "--format=tar", commit, *listed)
    if archive.returncode:
        raise ValueError(f"{commit[:12]}: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        # An argument of extractall from Python 3.11.4 on alone; before, this is ignored.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(folder)


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise ValueError("git: is not installed; give folders instead of revisions") from None
