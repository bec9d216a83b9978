"""PyTorch: the framework's own functions, differentiated by autograd.

`torch` calls them one by one; `torch-compile` lets Inductor make one kernel of each, for the shape it is bound to.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch

from backends.base import OVERWRITING, BaseBackend, Functions, host_array, merged, output_shape, restorable
from backends.catalogue import OPS
from backends.interface import MODES, Allocation, BackendUnavailable, Gap, InPlace, Mode, OpSpec, index_of
from backends.torch import (
    activations,
    class_losses,
    clock,
    from_output,
    gated,
    graphs,
    inplace,
    likelihoods,
    losses,
    piecewise,
    rows,
)
from backends.torch import out as torch_out
from backends.torch.precision import given, holds

PACKAGE = "torch"
EXTRA = "torch"
DEVICES = ("cpu", "cuda")
VARIANTS = ("torch",)
ON_REQUEST = ("torch-compile",)  # compiling takes a second or more an op, and ten for the first


def create(variant: str, device: str, threads: int | None) -> TorchBackend:
    """Open `device` and size PyTorch's thread pool; raise BackendUnavailable where there is no such device."""
    if device != "cpu":
        _open_cuda(variant, index_of(device))
    if threads is not None:
        torch.set_num_threads(threads)
    if variant == "torch-compile":
        _prepare_to_compile(variant, device)
        return CompiledTorchBackend(variant, device, torch.get_num_threads())
    return TorchBackend(variant, device, torch.get_num_threads())


def _open_cuda(variant: str, index: int) -> None:
    """Create the device's context: its seconds belong to no case. Raise BackendUnavailable where there is none.

    What is asked of `torch.cuda` from then on, such as to wait, is asked of that device.
    """
    if not torch.cuda.is_available():
        raise BackendUnavailable(f"{variant}: PyTorch finds no CUDA device (built for {_built_for()})")
    if index >= (n := torch.cuda.device_count()):
        raise BackendUnavailable(f"{variant}: PyTorch finds no cuda:{index}; the last of {n} is cuda:{n - 1}")
    torch.cuda.set_device(index)
    torch.zeros(1, device="cuda")
    torch.cuda.synchronize()


def _built_for() -> str:
    """Return the platform that this PyTorch is built for. One for AMD's ROCm calls its device `cuda` too."""
    if torch.version.hip:
        return f"ROCm {torch.version.hip}"
    return f"CUDA {torch.version.cuda}" if torch.version.cuda else "the CPU alone"


def _prepare_to_compile(variant: str, device: str) -> None:
    """Set Dynamo up for many ops and shapes; raise BackendUnavailable where Inductor finds no compiler."""
    from torch._dynamo import config as dynamo
    from torch._functorch import config as functorch
    from torch._inductor import cpp_builder, exc

    if device != "cpu":
        _require_triton(variant)
    if device == "cpu":
        try:
            cpp_builder.get_cpp_compiler()
        except exc.InvalidCxxCompiler as error:
            raise BackendUnavailable(f"{variant}: Inductor needs a C++ compiler on the CPU: {error}") from error
    dynamo.fail_on_recompile_limit_hit = True  # otherwise it goes on without compiling
    functorch.donated_buffer = False  # a vjp is called again and again with the same saved tensors


def _require_triton(variant: str) -> None:
    """Raise BackendUnavailable where Inductor cannot compile for a GPU: Triton compiles its launchers with C."""
    if importlib.util.find_spec("triton") is None:
        raise BackendUnavailable(f"{variant}: Inductor needs the package triton on a GPU")
    if not os.environ.get("CC") and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        raise BackendUnavailable(f"{variant}: Triton needs a C compiler (cc, gcc or clang), or CC that names one")


FUNCTIONS = merged(
    piecewise.OPS, activations.OPS, gated.OPS, rows.OPS, losses.OPS, likelihoods.OPS, class_losses.OPS
)
"""All ops by name."""
SUMMING = ("sparsemax", "categorical_cross_entropy", "categorical_hinge", "cosine_similarity", "dice", "tversky")
"""Ops that we compose of sums along rows, or of a sum that must not be rounded to 0."""


def _absent_from(table: Functions, ops: Iterable[str]) -> tuple[str, ...]:
    """Return those of `ops` that PyTorch computes, but has no function for in `table`."""
    return tuple(op for op in ops if op in FUNCTIONS and op not in table)


class TorchBackend(BaseBackend):
    """Eager PyTorch functions on one device."""

    binds_values = True  # copies without autograd, or saved tensors
    gaps: tuple[Gap, ...] = (
        Gap("autograd allocates every gradient", "upstream", modes=MODES[1:], allocations=("reuse",)),
        Gap(
            "PyTorch has no out= kernel of it",
            "upstream",
            ops=_absent_from(torch_out.OPS, OPS),
            allocations=("reuse",),
        ),
        Gap(
            "PyTorch has no in-place kernel of it",
            "upstream",
            ops=_absent_from(inplace.OPS, OVERWRITING),
            allocations=("inplace",),
        ),
    )

    _functions = FUNCTIONS

    def __init__(self, name: str, device: str, threads: int) -> None:
        super().__init__(name, device, threads)
        self.asynchronous = device != "cpu"

    @property
    def version(self) -> str:
        """Version of PyTorch."""
        return str(torch.__version__)

    def settings(self) -> str:
        """Return how precisely PyTorch multiplies matrices and accumulates, and whether it is deterministic."""
        cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        platform = f"built for {_built_for()}, " if torch.version.hip else ""
        return platform + (
            f"matmul_precision={torch.get_float32_matmul_precision()}, cudnn_tf32={cudnn.allow_tf32}, "
            f"fp16_accumulation={cuda.allow_fp16_reduced_precision_reduction}, "
            f"deterministic={torch.are_deterministic_algorithms_enabled()}"
        )

    def asarray(self, array: Any, dtype: str | None = None) -> torch.Tensor:
        """Copy a host array to the device."""
        # A copy in C order: torch takes no negative strides.
        host = host_array(array, dtype, order="C")
        if host.dtype.name == "bfloat16":  # a type that torch and NumPy share as bits only
            return torch.from_numpy(host.view(np.int16)).view(torch.bfloat16).to(self.device)
        return torch.from_numpy(host).to(self.device)

    def to_numpy(self, array: torch.Tensor) -> np.ndarray:
        """Copy a tensor to the host."""
        host = array.detach().cpu()
        if host.dtype == torch.bfloat16:
            return np.array(host.contiguous().view(torch.int16).numpy().view("bfloat16"))
        return np.array(host.numpy())

    def is_native(self, array: Any) -> bool:
        """Tell whether `array` is a `torch.Tensor`."""
        return isinstance(array, torch.Tensor)

    def synchronize(self, result: Any = None) -> None:
        """Wait for the device."""
        del result
        if self.device != "cpu":
            torch.cuda.synchronize()

    def copier(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that copies `n_bytes` within the device's memory, negated.

        A kernel's copy is what ops are to be compared with: of 4 MB it takes 2.8 µs on an H200, where the driver's
        own (`copy_`) takes 4.5.
        """
        if self.device == "cpu":
            return None
        source = torch.ones(n_bytes // 4, device=self.device)
        return partial(torch.neg, source, out=torch.empty_like(source))

    def reader(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that reads `n_bytes` of the device's memory, to sum them up; None on the host."""
        return None if self.device == "cpu" else partial(torch.sum, torch.ones(n_bytes // 4, device=self.device))

    def transfer_seconds(self, n_bytes: int, *, pinned: bool) -> tuple[float, float] | None:
        """Return the seconds that `n_bytes` of the host's memory take to the device, and back; None on the host.

        From `pinned` memory the device fetches them by itself; else the driver copies them into such memory first.
        """
        if self.device == "cpu":
            return None
        host = torch.ones(max(1, n_bytes), dtype=torch.uint8, pin_memory=pinned)
        there = torch.empty_like(host, device=self.device)
        return self._copy_seconds(there, host), self._copy_seconds(host, there)

    def _copy_seconds(self, target: torch.Tensor, source: torch.Tensor) -> float:
        self.synchronize()
        started = perf_counter()
        target.copy_(source, non_blocking=True)
        self.synchronize()
        return perf_counter() - started

    def free_bytes(self) -> int | None:
        """Return how much of the device's memory is free, or kept by PyTorch and not in use; None on the host."""
        if self.device == "cpu":
            return None
        kept = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return int(torch.cuda.mem_get_info()[0]) + int(kept)

    def release_memory(self) -> None:
        """Give the device's memory back that PyTorch keeps and does not use: other processes need it too."""
        if self.device != "cpu":
            torch.cuda.empty_cache()

    def device_name(self) -> str | None:
        """Return the device's model, or None on the host."""
        return None if self.device == "cpu" else str(torch.cuda.get_device_name())

    def cache_bytes(self) -> int | None:
        """Return the size of the device's second-level cache, or None on the host."""
        return None if self.device == "cpu" else int(torch.cuda.get_device_properties(None).L2_cache_size)

    def device_seconds(self, run: Callable[[], Any], iterations: int) -> float | None:
        """Return seconds per call between two CUDA events, launches not counted; None on the host.

        None, too, where the calls cannot be queued ahead of the device (see `clock`).
        """
        return None if self.device == "cpu" else clock.seconds_per_call(torch.cuda, run, iterations)

    def captured(self, bind: Callable[[], Callable[[], Any]]) -> Callable[[], Any]:
        """Return a replay, as one CUDA graph, of what the call that `bind` returns launches; see `graphs`."""
        return super().captured(bind) if self.device == "cpu" else graphs.captured(torch.cuda, bind)

    def peak_bytes(self, run: Callable[[], Any]) -> int | None:
        """Return how much more device memory a call takes at its peak, by PyTorch's count; None on the host."""
        if self.device == "cpu":
            return None
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated() - before)

    def _forward(
        self, op: str, parameters: dict[str, Any], dtype: torch.dtype | None = None
    ) -> Callable[..., Any]:
        return given(self._functions[op], parameters, dtype, sums=op in SUMMING)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return self.pullback(self._forward(op, parameters))

    def pullback(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return autograd's gradient of any function of tensors, with respect to the first."""
        return partial(_forward_and_pull, function, gradient_only=True)

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        if allocation == "reuse":  # a forward: see `gaps`
            out = inputs[0].new_empty(output_shape(spec, inputs, parameters))
            if not holds(inputs[0].dtype, parameters):
                return self._copying(spec, _untracked(inputs), parameters, out)
            return partial(torch_out.OPS[spec.name], *_untracked(inputs), **parameters, out=out)
        forward = self._forward(spec.name, parameters, inputs[0].dtype)
        if mode == "forward":
            return partial(forward, *self._forward_only(inputs))
        if mode == "forward+backward":
            return partial(_forward_and_pull, forward, cotangent, *inputs, gradient_only=False)
        # The forward pass runs here, once. Only the vjp is left to time, from its saved tensors.
        first = inputs[0].detach().requires_grad_()
        output = forward(first, *inputs[1:])
        return lambda: torch.autograd.grad(output, first, cotangent, retain_graph=True)[0]

    def takes_output(self, op: str) -> bool:
        """Tell whether autograd saves an op's output alone, and has a kernel that starts from it."""
        return op in from_output.OPS

    def _vjp_from_output(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return partial(from_output.OPS[op], **parameters)

    def _bind_from_output(
        self, spec: OpSpec, y: Any, cotangent: Any, parameters: dict[str, Any], allocation: Allocation
    ) -> Callable[[], Any]:
        del allocation  # a fresh one: see `gaps`
        return partial(self._vjp_from_output(spec.name, parameters), *_untracked((cotangent, y)))

    def _forward_only(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Return inputs for calls without a gradient."""
        return _untracked(inputs)

    def _bind_inplace(self, spec: OpSpec, inputs: Sequence[Any], parameters: dict[str, Any]) -> InPlace:
        x, pristine = (inputs[0].detach().clone(memory_format=torch.contiguous_format) for _ in range(2))

        def restore() -> None:
            x.copy_(pristine)
            self.synchronize()

        if not holds(x.dtype, parameters):
            return restorable(self._copying(spec, (x, *inputs[1:]), parameters, x), restore)
        return restorable(partial(inplace.OPS[spec.name], x, *inputs[1:], **parameters), restore)

    def _copying(
        self, spec: OpSpec, inputs: Sequence[Any], parameters: dict[str, Any], out: torch.Tensor
    ) -> Callable[[], torch.Tensor]:
        """Return a call that computes in a wider type, and copies the result into `out`."""
        forward = self._forward(spec.name, parameters, inputs[0].dtype)
        return lambda: out.copy_(forward(*inputs))


class CompiledTorchBackend(TorchBackend):
    """The same functions, each compiled for the shapes that it is called with."""

    gaps: tuple[Gap, ...] = (
        Gap("Inductor allocates every output", "upstream", allocations=("reuse", "inplace")),
        Gap("Inductor makes a gradient of a forward pass", "upstream", saved=("output",)),
        Gap(
            "Dynamo cannot trace F.gaussian_nll_loss, which looks at the variances",
            "upstream",
            ops=("gaussian_negative_log_likelihood",),
        ),
    )

    def _forward(
        self, op: str, parameters: dict[str, Any], dtype: torch.dtype | None = None
    ) -> Callable[..., Any]:
        function = super()._forward(op, parameters, dtype)

        def call(*inputs: torch.Tensor | None) -> torch.Tensor:
            return function(*inputs)

        # A code object of its own: Dynamo keeps what it compiled there, and looks through it on each call.
        call.__code__ = call.__code__.replace()
        compiled: Callable[..., Any] = torch.compile(call, dynamic=False, fullgraph=True)
        return compiled

    def _forward_only(self, inputs: Sequence[Any]) -> Sequence[Any]:
        return inputs  # compiled code takes longer to look at inference tensors


def _untracked(inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Return copies that autograd does not track: a call on them needs no `torch.inference_mode()` around it."""
    with torch.inference_mode():
        return tuple(a if a is None else a.clone() for a in inputs)


def _forward_and_pull(
    forward: Callable[..., Any],
    g: torch.Tensor,
    first: torch.Tensor,
    *rest: torch.Tensor,
    gradient_only: bool,
) -> Any:
    leaf = first.detach().requires_grad_()
    output = forward(leaf, *rest)
    (gradient,) = torch.autograd.grad(output, leaf, g)
    return gradient if gradient_only else (output.detach(), gradient)
