"""The host: what tells equal machines apart, without publishing what they are called.

A host's name is hashed with a key that stays on the machine: the machine's own id in /etc/machine-id, which
machine-id(5) asks to be used in this way, or else a number that is drawn once and stays in the results folder.
Without the key, nobody can find out a name by trying all of a list.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from benchmarks.machine.environment import SYSTEM, first_line

NONE = "none"
"""Asked for, it leaves the host out."""
KEY = "host.key"
"""The file in the results folder that holds the key, where the machine has no id of its own."""
_MACHINE_ID = "etc/machine-id"
_CONTAINER = re.compile(r"[0-9a-f]{12}")
"""The name that a container has where nobody gave it one: another one each time."""


def identity(asked: str | None, results: Path, root: Path = SYSTEM) -> str | None:
    """Return what this host goes by: a name that was asked for, or a keyed hash of its own.

    None where that says nothing: in continuous integration and in containers without a name of their own, both of
    which are called something else each time; and where there is no place for a key.
    """
    if asked is not None:
        return None if asked == NONE else asked
    name = socket.gethostname()
    if on_ci(os.environ) or _CONTAINER.fullmatch(name):
        return None
    key = _key(results, root)
    return key and hmac.new(key.encode(), b"activation-bench " + name.encode(), "sha256").hexdigest()[:12]


def on_ci(environment: Mapping[str, str]) -> bool:
    """Tell whether this is continuous integration."""
    return environment.get("CI", "").lower() not in ("", "0", "false")


def _key(results: Path, root: Path) -> str | None:
    machine_id = first_line(root / _MACHINE_ID) or ""
    if re.fullmatch(r"[0-9a-f]{32}", machine_id):
        return machine_id
    path = results / KEY
    with suppress(OSError):  # it is there already, or cannot be written
        results.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="ascii") as file:
            path.chmod(0o600)
            file.write(secrets.token_hex(16))
    return first_line(path)
