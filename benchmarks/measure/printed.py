"""What a worker prints: passed on up to a limit, and its end kept, however much it is."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from contextlib import suppress

MOST_BYTES = 2**16
"""What one worker prints is passed on up to here."""
_KEPT, _CHUNK = 4, 2**14
"""Of the rest, the last chunks are kept: what somebody who crashes says last says why."""
_LINE = 200
"""Characters of a line that is quoted."""
_SETTLE_S = 0.5
"""What a process said before it ended is there soon after."""


class Printed:
    """The other end of a worker's standard output and error. `descriptor` is what the worker is to write to.

    A thread reads, and sleeps while nothing is printed: a worker whose output nobody took would stand still, and a
    file that took it all would fill the disk.
    """

    def __init__(self) -> None:
        self._source, self.descriptor = os.pipe()
        self._new: deque[bytes] = deque()
        self._last: deque[bytes] = deque(maxlen=_KEPT)
        self._n_bytes = 0
        self._is_cut = False
        self._over = threading.Event()
        threading.Thread(target=self._read, name="printed by a worker", daemon=True).start()

    def started(self) -> None:
        """Close our copy of what the worker writes to: when the worker ends, so does its output."""
        os.close(self.descriptor)

    def pass_on(self) -> None:
        """Print what was printed since the last time as if it were ours: pytest shows it where a test fails."""
        with suppress(OSError, ValueError):  # nobody reads here any more
            while self._new:
                sys.stderr.write(self._new.popleft().decode(errors="replace"))
            if self._n_bytes > MOST_BYTES and not self._is_cut:
                self._is_cut = True
                sys.stderr.write(f"\n[a worker prints more than {MOST_BYTES} bytes: the rest is left out]\n")

    def last_line(self) -> str:
        """Return the last line that was printed, shortened; empty where there is none."""
        self._over.wait(_SETTLE_S)
        lines = b"".join(self._last).decode(errors="replace").split("\n")
        line = next((each.strip() for each in reversed(lines) if each.strip()), "")
        return line if len(line) <= _LINE else f"…{line[-_LINE:]}"

    def _read(self) -> None:
        try:
            while part := os.read(self._source, _CHUNK):
                self._last.append(part)
                if self._n_bytes < MOST_BYTES:
                    self._new.append(part)
                self._n_bytes += len(part)
        finally:
            os.close(self._source)
            self._over.set()
