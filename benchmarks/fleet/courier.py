"""The courier, which Ray places on a node: it starts our run there, tells it what to do, and returns its journal.

Ray sends this module as it is, since nothing of ours need be installed on a node: it imports the standard library
alone. The run is a process of its own, in the environment that Ray was started in on that node: of what Ray does
to its workers nothing is left.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path

RAYS_OWN = "RAY_"
"""How the variables begin that are about Ray itself."""
OWN_ALLOCATOR = "RAY_LD_PRELOAD_ON_WORKERS"
"""A variable of Ray's process on a node: there, LD_PRELOAD names an allocator that is Ray's and not the user's."""
SET_BY_RAY = (
    "OMP_NUM_THREADS",
    "LD_PRELOAD",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "ONEAPI_DEVICE_SELECTOR",
    "TPU_VISIBLE_CHIPS",
)
"""What Ray sets for its workers and would change a measurement: taken away where nobody knows what was before."""
_JOURNALS = "runs/journals"
_LAST_WORDS = 12
"""Lines of a run's output that are told when it has ended too soon."""
_ENDING_S = 120.0
"""The report and the workers' end take no longer."""


class Courier:
    """Starts a run, and carries between it and the driver.

    Each method returns what the run said, and new lines of its journal.
    """

    def start(self, archive: bytes, module: str, words: Sequence[str], variable: str) -> tuple[str, list[bytes]]:
        """Unpack our code, start `module` with `words`, and wait until it says what it could do.

        Raises RuntimeError with the end of its output where it ends before that, as all methods do.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="activation-bench-"))
        self._sent = 0
        code = unpacked(archive, cache_folder(os.environ))
        environment, undone = without_ray(os.environ, _of_the_raylet())
        with suppress(OSError, AttributeError):  # not allowed: it is then told
            os.setpriority(os.PRIO_PROCESS, 0, 0)  # Ray's workers stand back for all other processes
        self._connection, theirs = Pipe()
        environment |= {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(code), environment.get("PYTHONPATH")])),
            "PYTHONSAFEPATH": "1",
            variable: f"{theirs.fileno()}:{','.join(undone)}",
        }
        with self._output.open("wb") as output:
            self._run = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *words, f"--results={self._folder}"],
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        theirs.close()
        return self._answer()

    def measure(self, unit: str) -> tuple[str, list[bytes]]:
        """Have the run do one unit of its plan."""
        return self._ask(unit)

    def finish(self) -> tuple[str, list[bytes]]:
        """Have the run end, as there is nothing left for it; return its exit status as text."""
        self._connection.send(None)
        status = self._run.wait(_ENDING_S)
        lines = self._new_lines()
        shutil.rmtree(self._folder, ignore_errors=True)
        return str(status), lines

    def _ask(self, unit: str) -> tuple[str, list[bytes]]:
        with suppress(OSError):  # it has ended, as its answer will tell
            self._connection.send(unit)
        return self._answer()

    def _answer(self) -> tuple[str, list[bytes]]:
        try:
            text = str(self._connection.recv())
        except (EOFError, OSError):
            raise RuntimeError(self._last_words()) from None
        return text, self._new_lines()

    @property
    def _output(self) -> Path:
        return self._folder / "output.txt"

    def _new_lines(self) -> list[bytes]:
        """Return the whole lines that the journal has now and had not the last time."""
        journal = next((self._folder / _JOURNALS).glob("*.jsonl"), None)
        if journal is None:
            return []
        with journal.open("rb") as file:
            file.seek(self._sent)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._sent += len(whole)
        return whole.splitlines()

    def _last_words(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._run.wait(_ENDING_S)
        lines = [line for line in self._output.read_text(errors="replace").splitlines() if line.strip()]
        mistakes = [line for line in lines if line.startswith(("ERROR", "error", "INTERNALERROR"))]
        said = "\n".join((mistakes or lines)[-_LAST_WORDS:])
        shutil.rmtree(self._folder, ignore_errors=True)
        return f"the run on it ended with exit status {self._run.returncode}: {said}"


def without_ray(own: Mapping[str, str], before: Mapping[str, str] | None) -> tuple[dict[str, str], list[str]]:
    """Return the environment that a worker of Ray would have without Ray, and the names of what Ray had changed.

    `own` is the worker's environment, `before` that in which Ray was started on the node; None where the system
    does not tell, and what Ray is known to set is taken away.
    """
    kept = before if before is not None else {name: own[name] for name in own if name not in SET_BY_RAY}
    found = {name: value for name, value in kept.items() if not name.startswith(RAYS_OWN)}
    if OWN_ALLOCATOR in kept:
        found.pop("LD_PRELOAD", None)
    changed = [name for name in {**own, **found} if own.get(name) != found.get(name)]
    return found, sorted(name for name in changed if not name.startswith(RAYS_OWN))


def unpacked(archive: bytes, cache: Path) -> Path:
    """Return the folder with our code: one for each version, so that compiled kernels are found again."""
    folder = cache / hashlib.sha256(archive).hexdigest()[:16]
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=cache))
    with zipfile.ZipFile(io.BytesIO(archive)) as content:
        content.extractall(fresh)
    try:
        fresh.rename(folder)
    except OSError:
        shutil.rmtree(fresh)
        if not folder.is_dir():  # no other courier was faster
            raise
    return folder


def cache_folder(variables: Mapping[str, str]) -> Path:
    """Return where the code goes: among what the user's programs keep, and nobody else can write to."""
    base = variables.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - without a home, no error
    return Path(base) / "activation-bench" / "fleet"


def _of_the_raylet() -> dict[str, str] | None:
    """Return the environment of Ray's process on this node, which started this one; None if it cannot be read."""
    parent = Path("/proc") / str(os.getppid())
    try:
        if (parent / "comm").read_text(encoding="utf-8").strip() != "raylet":
            return None
        content = (parent / "environ").read_bytes()
    except OSError:
        return None
    entries = (os.fsdecode(entry).partition("=") for entry in content.split(b"\0") if entry)
    return {name: value for name, _, value in entries}
