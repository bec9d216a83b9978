"""Valgrind's callgrind: counts the instructions that a process of ours executes, up to each of its marks.

A process marks a moment by `mark()`, upon which callgrind writes down what it has counted since the last one, and
begins anew. So one start, which takes many times as long as without valgrind, serves for any number of counts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

_MARK = "getpgrp"
"""A function of the C library that nothing else calls, and that does nothing."""
_SAID = 2000
"""Characters of what a process said last that an error repeats."""
_MOST_S = 3600.0
"""No process takes longer for what it is asked here."""
_ARGUMENTS = ("--tool=callgrind", "--compress-strings=no", "--compress-pos=no", f"--dump-before={_MARK}")
_TOTAL = re.compile(r"^totals: (\d+)$", re.MULTILINE)
_CPU = "import llvmlite.binding as cpu; print(cpu.get_host_cpu_name(), cpu.get_host_cpu_features().flatten())"

Functions = Counter[tuple[str, str]]
"""Instructions that functions executed themselves, by the name of their library's file, and theirs."""


def missing() -> str | None:
    """Return why nothing can be counted, and what to install; None if something can."""
    if shutil.which("valgrind") is None:
        return "the program 'valgrind' is not on the path; on Debian: apt-get install valgrind"
    return None


def mark() -> None:
    """Let callgrind write down what it has counted."""
    os.getpgrp()


def parts(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return what callgrind wrote at each mark of a process, the first one at the first mark.

    Raises FileNotFoundError without valgrind, RuntimeError if the process fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "counts"
        _output([*_ARGUMENTS, f"--callgrind-out-file={file}", *command], environment)
        found = sorted(file.parent.glob("counts.*"), key=lambda each: int(each.suffix[1:]))
        return [each.read_text(encoding="utf-8", errors="replace") for each in found]


def total(part: str) -> int:
    """Return how many instructions a part counts. Raises ValueError for a text that is none."""
    found = _TOTAL.search(part)
    if found is None:
        raise ValueError("callgrind: must write a line 'totals: N' at each mark; it wrote none")
    return int(found[1])


def functions(part: str) -> Functions:
    """Return how many of its instructions each function executed itself."""
    found: Functions = Counter()
    library = function = ""
    is_callees = False
    for line in part.splitlines():
        name, is_named, value = line.partition("=")
        if is_named:
            if name == "ob":
                library = Path(value).name
            elif name == "fn":
                function = value
            is_callees = is_callees or name == "calls"  # the next line has what the callee and its callees did
        elif line[:1].isdigit():
            if not is_callees:
                found[library, function] += int(line.split()[1])
            is_callees = False
    return found


def processor(python: str, environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the name and the features, as LLVM writes them, of the processor that valgrind shows to a process.

    It knows no AVX-512. None where llvmlite is not installed.
    """
    try:
        said = _output(["--tool=none", python, "-c", _CPU], environment)
    except RuntimeError:
        return None
    name, features = said.split()
    return name, features


def _output(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    if reason := missing():
        raise FileNotFoundError(reason)
    done = subprocess.run(
        ["valgrind", *arguments],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_MOST_S,
    )
    if done.returncode:
        raise RuntimeError(f"valgrind: the process failed: {done.stderr.strip()[-_SAID:]}")
    return done.stdout
