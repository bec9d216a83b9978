"""CUDA graphs, captured on a made-up `torch.cuda`: the order of what is asked, and no GPU that answers."""

from __future__ import annotations

import importlib
from contextlib import contextmanager

import pytest

from backends.interface import NotSupported

pytest.importorskip("torch")
graphs = importlib.import_module("backends.torch.graphs")
backend = importlib.import_module("backends.torch.backend")


class MadeUpCuda:
    """Knows which stream is the current one; while it captures, calls leave a recipe and compute nothing.

    `error` is what a capture ends in, after which ending it fails too, as CUDA has it.
    """

    class OutOfMemoryError(RuntimeError):
        pass

    def __init__(self, error=None):
        self.error, self.current, self.capturing = error, "default", None
        self.said, self.n_streams = [], 0

    def Stream(self):  # noqa: N802 - as torch.cuda has it
        self.n_streams += 1
        return SideStream(self.said, "side" if self.n_streams == 1 else "another")

    def current_stream(self):
        return SideStream(self.said, self.current)

    @contextmanager
    def stream(self, stream):
        before, self.current = self.current, stream.name
        try:
            yield
        finally:
            self.current = before

    def CUDAGraph(self):  # noqa: N802
        return Graph()

    @contextmanager
    def graph(self, graph, stream):
        self.capturing, self.current = graph, stream.name
        try:
            yield
            if self.error:
                raise self.error
        except RuntimeError as error:
            self.capturing = None
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture") from error
        self.capturing = None  # the stream stays: it is the caller's again where that leaves its own

    def synchronize(self):
        self.said.append("waited")


class SideStream:
    def __init__(self, said, name="side"):
        self.said, self.name = said, name

    def wait_stream(self, other):
        self.said.append(f"{self.name} waits for {other.name}")


class Graph:
    def __init__(self):
        self.recipe, self.replays = None, 0

    def replay(self):
        self.replays += 1
        self.recipe()


def doubling(cuda, values, streams):
    """Return what binds a call that doubles `values` into an output, and notes on which stream it is asked."""

    def bind():
        streams.append(f"bound on {cuda.current}")
        output = [0] * len(values)

        def compute():
            output[:] = [2 * value for value in values]

        def run():
            streams.append(f"called on {cuda.current}")
            if cuda.capturing:
                cuda.capturing.recipe = compute
            else:
                compute()
            return output

        return run

    return bind


def test_a_call_is_bound_warmed_up_and_captured_on_one_stream_of_its_own():
    cuda, values, streams = MadeUpCuda(), [1, 2], []
    replay = graphs.captured(cuda, doubling(cuda, values, streams))
    assert streams == ["bound on side", *["called on side"] * (graphs.WARM_UP + 1)]
    assert cuda.current == "default"
    assert cuda.said == ["side waits for default", "default waits for side", "waited"]
    assert replay.graph.replays == 1  # the first one, which is not timed


def test_a_replay_reads_the_inputs_where_they_lay_and_writes_one_output():
    cuda, values, streams = MadeUpCuda(), [1, 2], []
    replay = graphs.captured(cuda, doubling(cuda, values, streams))
    n_calls, first = len(streams), replay()
    values[:] = [5, 7]
    again = replay()
    assert again is first
    assert again == [10, 14]
    assert len(streams) == n_calls  # the call itself is not made again
    assert replay.run is not None  # which keeps the inputs


def test_what_cannot_be_captured_says_what_cuda_said_first():
    error = RuntimeError("CUDA error: operation not permitted when stream is capturing\nCompile with ...")
    cuda = MadeUpCuda(error)
    with pytest.raises(
        NotSupported, match="captures no graph of it: CUDA error: operation not permitted"
    ) as found:
        graphs.captured(cuda, doubling(cuda, [1], []))
    assert "Compile" not in str(found.value)
    assert cuda.current == "default"  # what follows is measured there again


def test_memory_that_runs_out_while_it_is_captured_is_called_that():
    cuda = MadeUpCuda()
    cuda.error = cuda.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(MemoryError, match="out of memory"):
        graphs.captured(cuda, doubling(cuda, [1], []))


def test_there_are_none_on_the_cpu():
    with pytest.raises(NotSupported, match="launch 'graph': it captures no graphs of its calls"):
        backend.TorchBackend("torch", "cpu", 1).captured(lambda: lambda: None)
