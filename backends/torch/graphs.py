"""CUDA graphs: the kernels of a call, captured once, and from then on launched together by one replay.

What is asked of CUDA is passed as `cuda`: `torch.cuda`, or a test's made-up device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backends.interface import Gap, NotSupported

WARM_UP = 3
"""Calls before the capture, as PyTorch's documentation has it: what they compile or look up is not captured."""


@dataclass(frozen=True)
class Replay:
    """A graph, the `output` that it writes, and the `run` that was captured, which holds the inputs it reads."""

    graph: Any
    output: Any
    run: Callable[[], Any]

    def __call__(self) -> Any:
        """Launch the graph; return the output, which it writes each time."""
        self.graph.replay()
        return self.output


def captured(cuda: Any, bind: Callable[[], Callable[[], Any]]) -> Replay:
    """Return a replay of what the call that `bind` returns launches.

    It is bound on the stream that is captured: autograd runs a backward on the stream of its forward. Raises
    NotSupported, with what CUDA says, for a call that cannot be captured, such as one that waits for the device.
    """
    stream = cuda.Stream()
    stream.wait_stream(cuda.current_stream())
    with cuda.stream(stream):  # leaves it also where a capture fails, after which `cuda.graph` does not
        run = bind()
        for _ in range(WARM_UP):
            run()
        graph = cuda.CUDAGraph()
        try:
            with cuda.graph(graph, stream=stream):
                output = run()
        except RuntimeError as error:
            raise _told(cuda, error) from error
    cuda.current_stream().wait_stream(stream)
    replay = Replay(graph, output, run)
    replay()
    cuda.synchronize()
    return replay


def _told(cuda: Any, error: BaseException) -> BaseException:
    """Return what ended a capture: that there is no graph of the call, or that memory ran out.

    The end of a capture that has failed fails too: what came first is the cause.
    """
    while error.__context__ is not None:
        error = error.__context__
    reason = str(error).partition("\n")[0]
    if isinstance(error, cuda.OutOfMemoryError):
        return MemoryError(reason)
    return NotSupported(Gap(f"PyTorch captures no graph of it: {reason}", "upstream"), "launch 'graph'")
