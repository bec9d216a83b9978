"""Sides of a comparison: which `backends/` is measured, and in which Python environment.

A side is *whole* where its `backends/` has everything, as this repository's has, and then replaces ours; otherwise
it holds backends of somebody's own, which are measured under our `backends`. A side of a git revision is an export
of that revision into a temporary folder: the checkout, its index and its list of worktrees stay as they are,
whatever happens. Nothing is ever taken from the checkout in its place.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import processes

OWN = processes.HOME
DEPENDENCIES = ("pyproject.toml", "constraints.txt")
"""Files that say what an environment holds: sides that differ in them may need environments of their own."""
_WHOLE = "backends/interface.py"
"""What a `backends/` has that needs nothing of ours."""
MOST_S = 300.0
"""No question to git or to a Python takes longer; it would otherwise be waited for without end."""
_SHORT = 12
"""Letters of a commit in a sentence."""
_VERSIONS = """
import importlib.metadata as metadata, json, platform, sys

def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        for owner in metadata.packages_distributions().get(name, ()):
            return metadata.version(owner)

found = {"python": platform.python_version()} | {name: version(name) for name in sys.argv[1:]}
print(json.dumps({name: text for name, text in found.items() if text}))
"""
"""Prints versions as JSON; which package a module is of takes long to find, and is asked only where it must be."""


@dataclass(frozen=True)
class Declared:
    """Names of the backends that lie in a side's folder: those measured by default, and all of them."""

    usual: tuple[str, ...] = ()
    every: tuple[str, ...] = ()


@dataclass(frozen=True)
class Side:
    """One side: `name` as given, `commit` if it is a revision, the `folder` with `backends/`, and its Python.

    `state` is the commit of a folder's own checkout, and whether its backends differ from that. `checkout` is the
    folder that one works in, of which no module is taken where the side has another.
    """

    name: str
    commit: str | None
    folder: Path
    python: Path
    state: str = ""
    checkout: Path | None = None

    @property
    def label(self) -> str:
        """The side in a sentence: its name, and the commit that this is where it does not say so."""
        if self.commit is None:
            return f"{self.name} ({self.state})" if self.state else self.name
        return self.name if self.commit.startswith(self.name) else f"{self.name} ({self.commit[:_SHORT]})"

    @property
    def whole(self) -> bool:
        """Whether its `backends/` replaces ours."""
        return is_whole(self.folder)

    def command(self, module: str = f"{__package__}.worker") -> list[str]:
        """Return the command that runs a module with this side's backends, up to the module's own arguments."""
        here = Path(__file__).with_name("elsewhere.py")
        return [str(self.python), str(here), str(self.folder), str(self.checkout or self.folder), module]

    def declared(self) -> Declared:
        """Return the backends that lie in this side's folder; none are imported."""
        found = _run([*self.command(f"{__package__}.declared"), str(self.folder)])
        return Declared(**{name: tuple(names) for name, names in json.loads(found).items()})

    def dependencies(self) -> dict[str, str]:
        """Return the contents of the files that say what the environment holds, where the side has them."""
        return {
            name: (self.folder / name).read_text(encoding="utf-8")
            for name in DEPENDENCIES
            if (self.folder / name).is_file()
        }


@contextmanager
def opened(
    name: str, python: Path | None = None, repository: Path | None = None, *, whole: bool = False
) -> Iterator[Side]:
    """Open a side: a folder that holds `backends/` (such as `.`), or a git revision.

    Revisions are those of `repository`, or else of the one that the current folder lies in. With `whole`, it needs
    no `backends/`, and all of a revision is exported. Raises ValueError for a name that is neither, for a revision
    that cannot be exported, or a Python that does not run.
    """
    executable = _checked(python) if python else Path(sys.executable)
    checkout = repository or root()
    if Path(name).is_dir():
        folder = Path(name).resolve()
        if not whole and not _holds_backends(
            path.relative_to(folder).as_posix() for path in folder.glob("backends/*")
        ):
            raise ValueError(f"{name}: this folder holds no backends/; give a checkout or a git revision")
        yield Side(name, None, folder, executable, _state(folder), checkout or Path.cwd())
        return
    if checkout is None:
        raise ValueError(f"{name}: there is no such folder, and no git revision as this is no repository")
    commit = _commit(name, checkout)
    with TemporaryDirectory(prefix="activation-bench-") as temporary:
        folder = Path(temporary).resolve() / "exported"
        folder.mkdir()
        _export(commit, folder, checkout, whole=whole)
        yield Side(name, commit, folder, executable, checkout=checkout)


def is_whole(folder: Path) -> bool:
    """Tell whether a folder's `backends/` needs nothing of ours."""
    return (folder / _WHOLE).is_file()


def root(folder: Path = Path()) -> Path | None:
    """Return the root of the git repository that a folder lies in; None outside of one, and without git."""
    try:
        found = _git(folder, "rev-parse", "--show-toplevel")
    except ValueError:
        return None
    return Path(os.fsdecode(found.stdout).rstrip("\n")) if found.returncode == 0 else None


def versions(python: Path, packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python and of those `packages` that an environment has.

    A package goes by its name in the registry, or by the one that it is imported by.
    """
    return dict(json.loads(_run([str(python), "-c", _VERSIONS, *packages])))


def _checked(python: Path) -> Path:
    """Return a Python's path, which is not resolved: a virtual environment's is a link, and found by its place."""
    try:
        subprocess.run([python, "-c", ""], check=True, capture_output=True, timeout=MOST_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise ValueError(f"{python}: is not a working Python interpreter: {error}") from None
    return python.absolute()


def _run(command: Sequence[str]) -> str:
    """Return what a command prints; raise ValueError with the last line that it has to say if it fails."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=MOST_S)
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise ValueError(f"{command[0]}: {(done.stderr.strip().splitlines() or ['fails'])[-1]}")
    return done.stdout


def _holds_backends(names: Iterator[str]) -> bool:
    """Tell whether a side with these files in `backends/` holds all of it, or at least one backend."""
    return any(name == _WHOLE or name.endswith("_backend.py") for name in names)


def _state(folder: Path) -> str:
    """Return the commit that a folder's backends are of, and whether they differ from it; empty if of none."""
    if root(folder) is None or not _git(folder, "ls-files", "--", "backends").stdout:
        return ""
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD").stdout.decode().strip()
    changed = _git(folder, "--no-optional-locks", "status", "--porcelain", "--", "backends").stdout
    return commit and f"{commit[:_SHORT]}{', changed' * bool(changed)}"


def _commit(revision: str, repository: Path) -> str:
    found = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode:
        reason = found.stderr.decode().strip() or "git knows no such revision, and there is no such folder"
        raise ValueError(f"{revision}: {reason} (repository: {repository})")
    return found.stdout.decode().strip()


def _export(commit: str, folder: Path, repository: Path, *, whole: bool) -> None:
    """Write a revision into a folder: its `backends/` if that is whole, else all that its backends may import."""
    listed = _git(repository, "ls-tree", "-z", "--name-only", commit, "backends/", *DEPENDENCIES).stdout
    names = os.fsdecode(listed).split("\0")
    if not whole and not _holds_backends(iter(names)):
        raise ValueError(f"{commit[:_SHORT]}: this revision holds no backends/ (repository: {repository})")
    wanted = (
        ["backends", *(name for name in DEPENDENCIES if name in names)] if _WHOLE in names and not whole else []
    )
    archive = folder.with_name("exported.tar")
    made = _git(repository, "archive", "--format=tar", f"--output={archive}", commit, *wanted)
    if made.returncode:
        raise ValueError(f"{commit[:_SHORT]}: {made.stderr.decode().strip()}")
    try:
        with tarfile.open(archive) as tar:
            # An argument of extractall from Python 3.11.4 on alone; before, this is ignored.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(folder)
    except tarfile.TarError as error:
        raise ValueError(
            f"{commit[:_SHORT]}: this revision cannot be exported: {error}; name a folder that holds it instead"
        ) from None
    archive.unlink()


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, check=False, timeout=MOST_S
        )
    except FileNotFoundError:
        raise ValueError("git: is not installed; give folders instead of revisions") from None
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"git: {error}") from None
