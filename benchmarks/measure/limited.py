"""Messages to and from a worker, each with a limit of time: half a message, or nobody who reads, holds nobody up.

The other end is a `multiprocessing.connection.Connection`, in whose format the messages are: their length, in four
bytes or in twelve, and a pickle.
"""

from __future__ import annotations

import os
import pickle
import select
import struct
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from time import monotonic
from typing import Any

MOST_BYTES = 2**30
"""No reply is longer: what says so is none."""
_LONG = 0x7FFFFFFF
_LOOK_S = 1.0
"""How often to look whether the process at the other end still runs: its children may hold the connection open."""


class Broken(Exception):  # noqa: N818 - the message says what is
    """What came is no message."""


def send(connection: Connection, message: object, timeout_s: float) -> None:
    """Send a message; raise TimeoutError where nobody reads it in time, OSError where nobody can."""
    content = bytes(ForkingPickler.dumps(message))
    short = len(content) <= _LONG
    head = struct.pack("!i", len(content)) if short else struct.pack("!iQ", -1, len(content))
    left, end = memoryview(head + content), monotonic() + timeout_s
    descriptor = connection.fileno()
    os.set_blocking(descriptor, False)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            _wait(descriptor, select.POLLOUT, end)


def receive(connection: Connection, timeout_s: float, is_alive: Callable[[], bool]) -> Any:
    """Return the next message. The time for which the machine was suspended does not count.

    Raises TimeoutError where it has not come as a whole in time, EOFError where the other end, or its process, is
    gone, and Broken for what is no message.
    """
    reader = _Reader(connection.fileno(), timeout_s, is_alive)
    os.set_blocking(reader.descriptor, False)
    (length,) = struct.unpack("!i", reader.read(4))
    if length == -1:
        (length,) = struct.unpack("!Q", reader.read(8))
    if not 0 < length <= MOST_BYTES:
        raise Broken(f"a message of {length} bytes")
    content = reader.read(length)
    try:
        return pickle.loads(content)  # from the backend's own process, which computes what it is believed to
    except Exception as error:  # bytes can be anything
        raise Broken(f"{type(error).__name__}: {error}") from error


class _Reader:
    """Reads as many bytes as are asked for, and waits `left_s` for all of them together."""

    def __init__(self, descriptor: int, left_s: float, is_alive: Callable[[], bool]) -> None:
        self.descriptor = descriptor
        self._left_s = left_s
        self._is_alive = is_alive

    def read(self, n_bytes: int) -> bytes:
        found = bytearray()
        while len(found) < n_bytes:
            try:
                part = os.read(self.descriptor, min(n_bytes - len(found), 2**20))
            except BlockingIOError:
                self._wait()
                continue
            if not part:
                raise EOFError
            found += part
        return bytes(found)

    def _wait(self) -> None:
        while True:
            begun = monotonic()
            is_ready = _is_ready(self.descriptor, select.POLLIN, max(0.0, min(self._left_s, _LOOK_S)))
            # A virtual machine that stood still finds that the clock has jumped: it waits as long as it had to.
            self._left_s -= min(monotonic() - begun, 2 * _LOOK_S)
            if is_ready:
                return
            if self._left_s <= 0:
                raise TimeoutError
            if not self._is_alive() and not _is_ready(self.descriptor, select.POLLIN, 0.0):
                raise EOFError


def _wait(descriptor: int, event: int, end: float) -> None:
    """Wait until a descriptor is ready, or raise TimeoutError."""
    if not _is_ready(descriptor, event, max(0.0, end - monotonic())):
        raise TimeoutError


def _is_ready(descriptor: int, event: int, timeout_s: float) -> bool:
    poller = select.poll()
    poller.register(descriptor, event)
    return bool(poller.poll(1000 * timeout_s))
