"""PyTorch: the framework's own functions, differentiated by autograd.

`torch` calls them one by one; `torch-compile` lets Inductor make one kernel of each, for the shape it is bound to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from backends.base import OVERWRITING, BaseBackend, Functions, known_dtype, merged, output_shape, restorable
from backends.catalogue import OPS
from backends.interface import MODES, Allocation, BackendUnavailable, Gap, InPlace, Mode, OpSpec
from backends.torch import activations, class_losses, gated, inplace, likelihoods, losses, piecewise, rows
from backends.torch import out as torch_out

PACKAGE = "torch"
EXTRA = "torch"
DEVICES = ("cpu", "cuda")
VARIANTS = ("torch",)
ON_REQUEST = ("torch-compile",)  # compiling takes a second or more an op, and ten for the first

SPIN_CYCLES = 100_000
"""Cycles that the device waits for each call to be queued: 50 us at 2 GHz, where a launch takes 5 to 20."""
QUEUE = 1000
"""Calls to wait for at most: the device's queue takes about 1000 launches before the host has to wait."""


def create(variant: str, device: str, threads: int | None) -> TorchBackend:
    """Open `device` and size PyTorch's thread pool; raise BackendUnavailable where there is no such device."""
    if device == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda or "a CPU-only build"
        raise BackendUnavailable(f"{variant}: PyTorch finds no CUDA device (built for {built})")
    if threads is not None:
        torch.set_num_threads(threads)
    if variant == "torch-compile":
        _prepare_to_compile(variant, device)
        return CompiledTorchBackend(variant, device, torch.get_num_threads())
    return TorchBackend(variant, device, torch.get_num_threads())


def _prepare_to_compile(variant: str, device: str) -> None:
    """Set Dynamo up for many ops and shapes; raise BackendUnavailable where Inductor finds no compiler."""
    from torch._dynamo import config as dynamo
    from torch._functorch import config as functorch
    from torch._inductor import cpp_builder, exc

    if device == "cpu":
        try:
            cpp_builder.get_cpp_compiler()
        except exc.InvalidCxxCompiler as error:
            raise BackendUnavailable(f"{variant}: Inductor needs a C++ compiler on the CPU: {error}") from error
    dynamo.fail_on_recompile_limit_hit = True  # otherwise it goes on without compiling
    functorch.donated_buffer = False  # a vjp is called again and again with the same saved tensors


FUNCTIONS = merged(
    piecewise.OPS, activations.OPS, gated.OPS, rows.OPS, losses.OPS, likelihoods.OPS, class_losses.OPS
)
"""All ops by name."""


def _absent_from(table: Functions, ops: Iterable[str]) -> tuple[str, ...]:
    """Return those of `ops` that PyTorch computes, but has no function for in `table`."""
    return tuple(op for op in ops if op in FUNCTIONS and op not in table)


class TorchBackend(BaseBackend):
    """Eager PyTorch functions on one device."""

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
        return (
            f"matmul_precision={torch.get_float32_matmul_precision()}, cudnn_tf32={cudnn.allow_tf32}, "
            f"fp16_accumulation={cuda.allow_fp16_reduced_precision_reduction}, "
            f"deterministic={torch.are_deterministic_algorithms_enabled()}"
        )

    def asarray(self, array: Any, dtype: str | None = None) -> torch.Tensor:
        """Copy a host array to the device."""
        # A copy in C order: torch takes no negative strides.
        host = np.array(array, known_dtype(dtype), order="C")
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
        if self.device == "cuda":
            torch.cuda.synchronize()

    def copier(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that copies `n_bytes` within the device's memory."""
        if self.device == "cpu":
            return None
        source = torch.ones(n_bytes // 4, device=self.device)
        return partial(torch.empty_like(source).copy_, source)

    def device_name(self) -> str | None:
        """Return the device's model, or None on the host."""
        return None if self.device == "cpu" else str(torch.cuda.get_device_name())

    def cache_bytes(self) -> int | None:
        """Return the size of the device's second-level cache, or None on the host."""
        return None if self.device == "cpu" else int(torch.cuda.get_device_properties(0).L2_cache_size)

    def device_seconds(self, run: Callable[[], Any], iterations: int) -> float | None:
        """Return seconds per call between two CUDA events, or None on the host.

        The device spins while calls are queued, so that it never waits for the next one.
        """
        if self.device == "cpu":
            return None
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        if hasattr(torch.cuda, "_sleep"):  # PyTorch's own tests use it; it is not documented
            torch.cuda._sleep(SPIN_CYCLES * min(iterations, QUEUE))  # noqa: SLF001
        start.record()
        for _ in range(iterations):
            run()
        stop.record()
        stop.synchronize()
        return float(start.elapsed_time(stop)) / 1e3 / iterations

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

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return partial(self._functions[op], **parameters)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return partial(_forward_and_pull, self._forward(op, parameters), gradient_only=True)

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
            return partial(torch_out.OPS[spec.name], *_untracked(inputs), **parameters, out=out)
        forward = self._forward(spec.name, parameters)
        if mode == "forward":
            return partial(forward, *self._forward_only(inputs))
        if mode == "forward+backward":
            return partial(_forward_and_pull, forward, cotangent, *inputs, gradient_only=False)
        # The forward pass runs here, once. Only the vjp is left to time, from its saved tensors.
        first = inputs[0].detach().requires_grad_()
        output = forward(first, *inputs[1:])
        return lambda: torch.autograd.grad(output, first, cotangent, retain_graph=True)[0]

    def _forward_only(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Return inputs for calls without a gradient."""
        return _untracked(inputs)

    def _bind_inplace(self, spec: OpSpec, inputs: Sequence[Any], parameters: dict[str, Any]) -> InPlace:
        x, pristine = (inputs[0].detach().clone(memory_format=torch.contiguous_format) for _ in range(2))

        def restore() -> None:
            x.copy_(pristine)
            self.synchronize()

        return restorable(partial(inplace.OPS[spec.name], x, *inputs[1:], **parameters), restore)


class CompiledTorchBackend(TorchBackend):
    """The same functions, each compiled for the shapes that it is called with."""

    gaps: tuple[Gap, ...] = (Gap("Inductor allocates every output", "upstream", allocations=("reuse", "inplace")),)

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        function = self._functions[op]

        def call(*inputs: torch.Tensor | None) -> torch.Tensor:
            return function(*inputs, **parameters)

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
