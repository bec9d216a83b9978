"""What is measured: one Case a test, drawn from a preset and narrowed by the command line."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

from backends.interface import Allocation, Mode
from benchmarks.record.schema import CASE_KEYS
from benchmarks.record.shapes import label_of

DTYPES = ("float32", "float64", "float16", "bfloat16")
DEVICES = ("cpu", "cuda")
Cache = Literal["hot", "cold"]
Timing = Literal["latency", "throughput"]
CACHES: tuple[Cache, ...] = get_args(Cache)
TIMINGS: tuple[Timing, ...] = get_args(Timing)


@dataclass(frozen=True)
class Case:
    """One thing to measure. Everything that changes what is measured is part of it.

    `shape` is the first input's. `allocation`, `cache` and `timing` are the policies of the measurement: unless
    told otherwise, every call writes a fresh output, inputs stay in the cache, and every call is synchronised.
    """

    op: str
    mode: Mode
    dtype: str
    shape: tuple[int, ...]
    backend: str
    device: str
    allocation: Allocation = "fresh"
    cache: Cache = "hot"
    timing: Timing = "latency"

    @property
    def n_elements(self) -> int:
        """Number of elements of the first input."""
        return prod(self.shape)

    @property
    def shape_label(self) -> str:
        """The shape as in a test id, such as `1024x1024`."""
        return label_of(self.shape)

    @property
    def row(self) -> dict[str, str]:
        """The columns that tell the case apart in records, by name (CASE_KEYS)."""
        return {key: self.shape_label if key == "shape" else getattr(self, key) for key in CASE_KEYS}

    @property
    def policies(self) -> str:
        """The policies that differ from the default, as in a test id: `-reuse-cold`; empty where none does."""
        chosen = (self.allocation, self.cache, self.timing)
        return "".join(
            f"-{policy}" for policy, usual in zip(chosen, DEFAULT_POLICIES, strict=True) if policy != usual
        )

    @property
    def group(self) -> str:
        """What the cases share that are comparable with each other."""
        return f"{self.op}-{self.mode}-{self.dtype}-{self.shape_label}{self.policies}"

    def __str__(self) -> str:
        return f"{self.op}-{self.mode}-{self.dtype}-{self.shape_label}-{self.backend}-{self.device}{self.policies}"


DEFAULT_POLICIES = (Case.allocation, Case.cache, Case.timing)
