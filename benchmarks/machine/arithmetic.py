"""Arithmetic: whether the processor keeps subnormal numbers, or was told to take them for zero."""

from __future__ import annotations

import sys

SETTING = "subnormals=flushed"
"""What a worker adds to its settings where they are lost."""


def flushes_subnormals() -> bool:
    """Tell whether this thread takes subnormal numbers for zero, as results or as operands.

    That is a mode of the processor, which lasts: a library compiled with -ffast-math may set it when it is loaded,
    `torch.set_flush_denormal` on purpose. Threads that are started later inherit it.
    """
    return sys.float_info.min / 2 == 0
