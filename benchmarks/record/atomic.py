"""Files that are replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path, content: str | bytes) -> Path:
    """Write a file as a whole, text as `encoded`, so that a reader never sees half of it; return its path."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(encoded(content) if isinstance(content, str) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def encoded(text: str) -> bytes:
    r"""Return a text in UTF-8; what has no place there, as half a surrogate pair has none, as in `\udcff`."""
    return text.encode(errors="backslashreplace")
