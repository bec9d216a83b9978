"""Lines that a GPU keeps in its second-level cache whatever else is read: what is to be cold must not find any.

A kernel can ask for that, and they stay until it is undone. CUDA's driver undoes it; frameworks do not name it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

SETTING = "persisting_lines=kept"
"""What a worker says of a device where they cannot be undone."""
_LIBRARIES = ("libcuda.so.1", "nvcuda.dll")


def undoing(device: str, load: Callable[[str], Any] = ctypes.CDLL) -> Callable[[], bool] | None:
    """Return a call that makes a device's persisting lines ordinary ones, and tells whether it could.

    None where nothing does: on other devices than NVIDIA's, without a driver, or with one before CUDA 11.
    """
    kind, _, index = device.partition(":")  # an older revision's interface, beside which this may run, cannot tell
    for name in _LIBRARIES if kind == "cuda" else ():
        try:
            driver = load(name)
        except OSError:
            continue
        if hasattr(driver, "cuCtxResetPersistingL2Cache"):
            return lambda: _undo(driver, int(index or 0))
    return None


def _undo(driver: Any, index: int) -> bool:
    """Have the driver do it in the context that frameworks share, which need not be the current one here."""
    device, context, before = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
    failed = (
        driver.cuInit(0)
        or driver.cuDeviceGet(ctypes.byref(device), index)
        or driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
    )
    if failed:
        return False
    try:
        if driver.cuCtxPushCurrent_v2(context):
            return False
        undone = not driver.cuCtxResetPersistingL2Cache()
        driver.cuCtxPopCurrent_v2(ctypes.byref(before))
        return undone
    finally:
        driver.cuDevicePrimaryCtxRelease_v2(device)
