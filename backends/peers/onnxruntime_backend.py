"""ONNX Runtime, for comparison: a graph of one node for each op, on its CPU provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NotImplemented_

from backends.base import output_shape
from backends.interface import Allocation, Gap, Mode, NotSupported, OpSpec
from backends.peers.host import HostPeer

PACKAGE = "onnxruntime"
EXTRA = "peers"
DEVICES = ("cpu",)
VARIANTS = ()
PEERS = ("onnxruntime",)

OPSET, IR_VERSION = 20, 9
"""The first opset with Gelu, and the format that goes with it."""

NODES: Mapping[str, tuple[str, Mapping[str, str | float]]] = {
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": "negative_slope"}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_silu": ("HardSwish", {}),
    "soft_shrink": ("Shrink", {"lambd": "threshold", "bias": "threshold"}),
    "hard_shrink": ("Shrink", {"lambd": "threshold"}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "elu": ("Elu", {"alpha": "alpha"}),
    "celu": ("Celu", {"alpha": "alpha"}),
    "selu": ("Selu", {}),
    "gelu": ("Gelu", {"approximate": "approximate"}),
    "mish": ("Mish", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "exponential": ("Exp", {}),
    "softmax": ("Softmax", {"axis": "axis"}),
    "log_softmax": ("LogSoftmax", {"axis": "axis"}),
}
"""The node of each op, and its attributes: numbers, or the names of our parameters."""

_TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}


def create(variant: str, device: str, threads: int | None) -> OnnxPeer:
    """Return the backend of `threads` threads, or of as many as ONNX Runtime chooses."""
    del device
    return OnnxPeer(variant, threads or 1, NODES, "ONNX", onnxruntime.__version__)


def _run_bound(session: Any, binding: Any, out: np.ndarray, x: np.ndarray) -> np.ndarray:
    del x  # an argument to be kept: the binding holds its address alone
    session.run_with_iobinding(binding)
    return out


class OnnxPeer(HostPeer):
    """One-node graphs; a bound call binds its arrays once."""

    def _writes_into(self, op: str) -> bool:
        del op
        return True

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        def forward(x: np.ndarray) -> Any:
            return self._session(op, parameters, x).run(None, {"x": x})[0]

        return forward

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        del mode, cotangent  # a forward: see `gaps`
        (x,) = inputs
        session = self._session(spec.name, parameters, x)
        if allocation == "fresh":
            feed = {"x": x}
            return lambda: session.run(None, feed)[0]
        out = np.empty(output_shape(spec, inputs, parameters), x.dtype)
        binding = session.io_binding()
        binding.bind_input("x", "cpu", 0, x.dtype, x.shape, x.ctypes.data)
        binding.bind_output("y", "cpu", 0, out.dtype, out.shape, out.ctypes.data)

        return partial(_run_bound, session, binding, out, x)

    def _session(self, op: str, parameters: dict[str, Any], x: np.ndarray) -> Any:
        kind, named = NODES[op]
        attributes = {
            name: parameters[value] if isinstance(value, str) else value for name, value in named.items()
        }
        number, shape = _TYPES[x.dtype.name], list(x.shape)
        graph = helper.make_graph(
            [helper.make_node(kind, ["x"], ["y"], **attributes)],
            op,
            [helper.make_tensor_value_info("x", number, shape)],
            [helper.make_tensor_value_info("y", number, shape)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        try:
            return onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except (InvalidGraph, NotImplemented_) as error:
            gap = Gap("ONNX Runtime has no such kernel", "upstream", ops=(op,), dtypes=(x.dtype.name,))
            raise NotSupported(gap, f"{op}: {x.dtype}") from error
