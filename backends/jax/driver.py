"""What NVIDIA's driver says of a visible device and JAX does not: the size of its second-level cache."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

_LIBRARIES = ("libcuda.so.1", "nvcuda.dll")
_L2_CACHE_SIZE = 38
"""CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE in NVIDIA's cuda.h."""


def cache_bytes(load: Callable[[str], Any] = ctypes.CDLL, *, index: int = 0) -> int | None:
    """Return the bytes of the cache of one visible device; None without a driver, or where it does not say."""
    for name in _LIBRARIES:
        try:
            driver = load(name)
        except OSError:
            continue
        device, found = ctypes.c_int(), ctypes.c_int()
        failed = (
            driver.cuInit(0)
            or driver.cuDeviceGet(ctypes.byref(device), index)
            or driver.cuDeviceGetAttribute(ctypes.byref(found), _L2_CACHE_SIZE, device)
        )
        return None if failed or found.value <= 0 else found.value
    return None
