"""Our code as one archive: what the driver brings to each node, so that all of them measure the same."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import processes


def packed() -> bytes:
    """Return a zip archive of our packages and their settings of pytest, laid out as they are imported."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for path in sorted(_files()):
            archive.write(path, path.relative_to(processes.ROOT))
    return content.getvalue()


def _files() -> Iterator[Path]:
    yield processes.HOME / "pyproject.toml"
    if processes.HOME != processes.ROOT:
        yield processes.HOME / "__init__.py"
    for folder in ("backends", "benchmarks"):
        found = (processes.HOME / folder).rglob("*")
        yield from (path for path in found if path.is_file() and path.parent.name != "__pycache__")
