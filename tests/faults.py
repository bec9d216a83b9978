"""Planted faults: what the everyday tests must notice. `python -m tests.faults [WORD ...]` plants them one by one.

Each is made in a copy of the tree, and the everyday tests named beside it are run on it: it is caught if one of
them fails. With words, only faults whose names contain one of them are planted. Exit status: 0 all were caught, 1 one
was not, 2 a fault could not be planted, or its tests fail without it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EVERYDAY = ("-p", "tests.everyday", "benchmarks/test_correctness.py")
"""The everyday part of the correctness suite."""
PARTS = (
    "backends", "benchmarks", "tests", "docs", "results", "activation_bench.py", "conftest.py", "setup.py",
    "pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md",
)  # fmt: skip
"""What the tests need of the tree."""


@dataclass(frozen=True)
class Fault:
    """A change of one place: `old`, which stands once in `file`, becomes `new`; `tests` are pytest's arguments."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def kernel(name: str, file: str, old: str, new: str, op: str, backend: str) -> Fault:
    """Return a fault of one op on one backend, which the everyday part of the correctness suite must notice."""
    tests = (*EVERYDAY, "--op", op, "--backend", backend)
    return Fault(name, f"backends/{file}.py", old, new, tests)


def fault(name: str, file: str, old: str, new: str, *tests: str) -> Fault:
    """Return a fault of anything else."""
    return Fault(name, file, old, new, tests)


# fmt: off
# ruff: noqa: E501 - a line of code is quoted as it stands
FAULTS: tuple[Fault, ...] = (
    # Each family of ops, forward and backward, on each framework.
    kernel("numpy activation, backward", "numpy/activations", "return bell(e, y, s, one)",
           "return np.multiply(e, e, y)", "sigmoid", "numpy"),
    kernel("numba activation, forward", "numba/activations", "return max_0(x) + log1p_of_fraction(exp_minus(abs(x)))",
           "return max_0(x) + exp_minus(abs(x))", "softplus", "numba"),
    kernel("torch activation, forward", "torch/activations", "F.silu(x)", "F.mish(x)", "silu", "torch"),
    kernel("jax activation, parameter", "jax/activations", "return jax.nn.elu(x, alpha)", "return jax.nn.elu(x)",
           "elu", "jax"),
    kernel("numpy piecewise, backward", "numpy/piecewise", "return parts.between(x, y, zero, six)",
           "return parts.above_zero(x, y, zero)", "relu6", "numpy"),
    kernel("numba piecewise, forward", "numba/piecewise", "return clip(x, -1, 1)", "return clip(x, -1, 2)",
           "hard_tanh", "numba"),
    kernel("jax piecewise, NaN", "jax/piecewise", "jnp.where(jnp.isnan(x), x, (x > 0).astype(x.dtype))",
           "(x > 0).astype(x.dtype)", "step", "jax"),
    kernel("numpy gated, forward", "numpy/gated", "np.multiply(x, np.divide(gate, e, y), out)",
           "np.multiply(gate, np.divide(gate, e, y), out)", "swiglu", "numpy"),
    kernel("torch gated, forward", "torch/gated", "return x * F.silu(gate)", "return gate * F.silu(x)", "swiglu",
           "torch"),
    kernel("numba rows, forward", "numba/rows", "_scale(out, 1 / exps(out, x, rising))",
           "_scale(out, 1 / exps(out, x, falling))", "softmax", "numba"),
    kernel("jax rows, axis", "jax/rows", "return jax.nn.log_softmax(x, axis=axis)",
           "return jax.nn.log_softmax(x, axis=0)", "log_softmax", "jax"),
    kernel("numpy rows, forward", "numpy/rows", "return np.subtract(out, np.log(n), out)",
           "return np.subtract(out, n, out)", "log_softmax", "numpy"),
    kernel("numpy loss, backward", "numpy/losses", "@loss_pullback(scale=2)\ndef mean_squared_error_vjp",
           "@loss_pullback(scale=1)\ndef mean_squared_error_vjp", "mean_squared_error", "numpy"),
    kernel("torch loss, reduction", "torch/losses", '"mean": torch.mean, "sum": torch.sum,',
           '"mean": torch.sum, "sum": torch.sum,', "log_cosh", "torch"),
    kernel("jax loss, parameter", "jax/losses", "q * below + (1 - q) * above",
           "0.5 * below + (1 - q) * above", "quantile", "jax"),
    kernel("torch likelihood, parameter", "torch/likelihoods", "log_input=log_input, eps=0",
           "log_input=True, eps=0", "poisson", "torch"),
    kernel("numpy likelihood, backward at its ends", "numpy/likelihoods",
           "np.copyto(z, (1 - 2 * prediction) / 256, where=certain)", "pass", "binary_cross_entropy", "numpy"),
    fault("jax class loss, ignored rows", "backends/jax/class_losses.py",
          "return losses if ignore_index is None else jnp.where(labels == ignore_index, 0, losses)",
          "return losses", "tests/backends/test_interface.py", "-k", "ignored_labels and jax"),
    kernel("numpy class loss, backward", "numpy/class_losses",
           "    np.subtract(out, target, out)\n\n\n@label_loss", "    pass\n\n\n@label_loss",
           "softmax_cross_entropy", "numpy"),
    kernel("torch piecewise, forward", "torch/piecewise", "return F.hardtanh(x)", "return F.hardtanh(x, -1, 2)",
           "hard_tanh", "torch"),
    kernel("torch rows, axis", "torch/rows", "return F.softmin(x, dim=axis)", "return F.softmin(x, dim=0)", "softmin",
           "torch"),
    kernel("torch class loss, forward", "torch/class_losses", "return reduced(F.relu(margin), reduction)",
           "return reduced(margin, reduction)", "categorical_hinge", "torch"),
    kernel("jax gated, forward", "jax/gated", "return x * _without_limit(gate, jax.nn.silu(gate))",
           "return gate * _without_limit(x, jax.nn.silu(x))", "swiglu", "jax"),
    kernel("jax likelihood, forward", "jax/likelihoods",
           "return -special.xlogy(target, prediction) - special.xlog1py(1 - target, -prediction)",
           "return -special.xlogy(target, prediction)", "binary_cross_entropy", "jax"),
    kernel("numba gated, backward", "numba/gated", "return swiglu(g, gate)", "return swiglu(gate, g)", "swiglu", "numba"),
    kernel("numba loss, backward", "numba/losses", "return g * (difference + difference)", "return g * difference",
           "mean_squared_error", "numba"),
    kernel("numba likelihood, forward", "numba/likelihoods", "return -(yes + no)", "return -yes", "binary_cross_entropy",
           "numba"),
    kernel("numba class loss, forward", "numba/class_losses", "loss = _surprise(x[label], (1", "loss = _surprise(x[0], (1",
           "softmax_cross_entropy_with_integer_labels", "numba"),
    # Where a factor is 0 and the other infinite, and what a type does not hold.
    kernel("numpy class loss, a masked class", "numpy/class_losses", "    parts.drop(own, lambda: t == 0)\n", "",
           "categorical_hinge", "numpy"),
    kernel("numpy loss, a slope of zero", "numpy/losses", "if not left.item():", "if False:", "quantile", "numpy"),
    fault("torch averages class losses in float16", "backends/torch/class_losses.py",
          'return "none" if x.dtype == torch.float16 else reduction', "return reduction",
          "tests/backends/test_limits.py", "-k", "sums_and_counts and torch"),
    fault("parameters are rounded to the type of the arrays", "backends/arguments.py",
          "if all(low <= value <= high for value in numbers):", "if numbers is not None:",
          "tests/backends/test_limits.py", "-k", "cannot_hold and numpy"),
    fault("an error beside an infinite term is not seen", "benchmarks/check/oracle.py",
          "np.where(np.isfinite(size), size, 0)", "size", "tests/check/test_accuracy.py"),
    # dtypes, modes, allocations.
    fault("narrow types not rounded back", "backends/numpy/narrow.py", "made = output(out, like, shape)",
          "made = np.empty(shape, np.float32)", *EVERYDAY, "--op", "sigmoid", "--backend", "numpy"),
    fault("numba cuts numbers off to bfloat16", "backends/numba/narrow.py",
          "builder.add(last, ir.Constant(_WORD, 0x7FFF))", "ir.Constant(_WORD, 0)", *EVERYDAY, "--op", "elu", "--backend", "numba"),
    fault("float64 silently float32", "backends/jax/backend.py", 'jax.config.update("jax_enable_x64", True)',
          'jax.config.update("jax_enable_x64", False)',
          *EVERYDAY, "--op", "sigmoid", "--backend", "jax"),
    fault("forward and backward exchanged", "backends/host.py", "return lambda: (forward(), backward())",
          "return lambda: (backward(), forward())", "tests/backends/test_interface.py", "-k", "bind_takes"),
    fault("in place leaves the input as it was", "backends/host.py",
          "forward = self._bound(spec.name, (x, *inputs[1:]), x, parameters)",
          "forward = self._bound(spec.name, (x, *inputs[1:]), None, parameters)",
          "tests/backends/test_allocation.py", "-k", "numpy and not numba"),
    fault("kernels read their operand backwards", "backends/numba/ops.py",
          "view = bits(array.view() if array.flags.c_contiguous else array.copy())",
          "view = bits(array[::-1] if array.flags.c_contiguous else array.copy())",
          *EVERYDAY, "--op", "sigmoid", "--backend", "numba"),
    # The check.
    fault("errors in units twice as large", "benchmarks/check/accuracy.py", "/ unit.astype(np.float64)",
          "/ unit.astype(np.float64) / 2", "tests/check/test_accuracy.py"),
    fault("budgets ten times as wide", "benchmarks/check/accuracy.py", "allowed = min(budget(",
          "allowed = 10 * min(budget(", "tests/check/test_accuracy.py"),
    fault("an oracle of few digits", "benchmarks/check/oracle.py", "HighPrecision(_DIGITS + _SMALLEST_EXPONENT[dtype])",
          "HighPrecision(8)", "tests/check/test_oracle.py"),
    fault("the last result goes unchecked", "benchmarks/measure/group.py",
          '            self.check(due, "last_result")', "            pass", "tests/measure/test_group.py"),
    fault("results that are remembered are believed", "benchmarks/measure/referee.py",
          "        verdicts_on(case, renewal.due, results)", "        del case, results",
          "tests/measure/test_wrong_backends.py"),
    fault("the first call on new values is not looked at", "benchmarks/measure/referee.py",
          "for results in found.first:", "for results in found.last:", "tests/measure/test_wrong_backends.py"),
    fault("a result that was kept is not looked at", "benchmarks/measure/referee.py", "for results in found.held:",
          "for results in found.held[:0]:", "tests/measure/test_wrong_backends.py"),
    fault("only the last call of a round is looked at", "benchmarks/measure/prepared.py",
          "        if self.keeps and iterations > 1:", "        if self.keeps and iterations < 0:",
          "tests/measure/test_probe.py"),
    fault("there is a pause before new values", "benchmarks/measure/probe.py", "            if amid:\n",
          "            if not amid:\n", "tests/measure/test_probe.py"),
    fault("a short burst clears a clock", "benchmarks/measure/plausibility.py",
          "return tells_of_a_clock(burst) and", "return", "tests/measure/test_plausibility.py"),
    fault("a rare disturbance counts", "benchmarks/measure/plausibility.py",
          "ascending[: -max(FEW, int(RARE * len(ascending)))]", "ascending", "tests/measure/test_referee.py"),
    fault("new values are those of before", "benchmarks/measure/probe.py", "    seen[change.index] = change.values",
          "    change = Change(change.array, change.index, before)", "tests/measure/test_probe.py"),
    fault("forged replies are believed", "benchmarks/measure/remote.py", "or reply[0] != number:", "or reply[0] is None:",
          "tests/measure/test_wrong_backends.py"),
    fault("the seal does not look at what comes later", "benchmarks/measure/seal.py",
          "for name in self.space.keys() - self.names:", "for name in ():", "tests/measure/test_seal.py"),
    fault("what is remembered once it recurs is believed", "benchmarks/measure/probe.py", "for changes in novelties), default",
          "for changes in ()), default", "tests/measure/test_probe.py"),
    fault("what comes before timing costs a budget nothing", "benchmarks/measure/budget.py",
          "if self.begun is None else self.begun", "if self.begun is None else self.clock()", "tests/measure/test_budget.py"),
    fault("no first call is made alone", "benchmarks/measure/group.py",
          'self._call(entry.case, "call_first", process=process)', "pass", "tests/measure/test_group.py"),
    fault("a crash leaves what was asked ahead to the next worker", "benchmarks/measure/pool.py",
          "self._workers.pop(place).close()\n            self._ahead[place].clear()", "self._workers.pop(place).close()",
          "tests/measure/test_pool.py", "-k", "ahead"),
    fault("whose priority is lowered is to blame", "benchmarks/measure/pool.py", "if changed and self._alone and",
          "if changed and not self._alone and", "tests/measure/test_pool.py"),
    fault("an edited journal is believed", "benchmarks/record/recorder.py",
          "if sha256(content).digest() != self._written.digest():", "if not content:", "tests/record/test_damage.py"),
    fault("the seal does not look at code", "benchmarks/measure/seal.py", "self.function is None or all(",
          "self.function is None or any(", "tests/measure/test_seal.py"),
    # The measurement.
    fault("everyone keeps to a processor of its own", "benchmarks/measure/worker.py",
          "None if self._backend.asynchronous else processor", "None", "tests/measure/test_worker.py"),
    fault("outputs are kept until the next call", "benchmarks/measure/prepared.py",
          "for run in before:\n                run()", "for run in before:\n                result = run()",
          "tests/measure/test_prepared.py"),
    fault("who left early is not brought to the pace of all turns", "benchmarks/measure/sampling.py",
          "lane.pace = statistics.median(longest.values) * ratio", "lane.pace = statistics.median(lane.values)",
          "tests/measure/test_sampling.py"),
    fault("backends take turns in one order", "benchmarks/measure/sampling.py",
          "for lane in order.sample(active, len(active)):", "for lane in active:", "tests/measure/test_group.py",
          "tests/measure/test_sampling.py"),
    fault("large cases are timed on cold caches", "benchmarks/machine/waking.py", " or n_calls < WAKE_CALLS", "",
          "tests/machine/test_waking.py"),
    fault("the limit is measured cold", "benchmarks/machine/bandwidth.py", "    if warm > 1:", "    if warm > 99:",
          "tests/machine/test_bandwidth.py"),
    fault("more time is proposed where it tells nothing", "benchmarks/analysis/noise.py",
          "self.n_decided + self.n_placed < self.n_groups", "True", "tests/report/test_terminal.py"),
    fault("the ruler is the judge", "benchmarks/validation/exhaustive.py", "np.argpartition(errors, -min(WORST, len(x)))[-WORST:]",
          "np.arange(WORST)", "tests/validation/test_exhaustive.py"),
    fault("four terms beyond float32 are infinite", "backends/numba/sums.py", "if abs(part) < np.inf else sum_of(block)", "",
          "tests/backends/test_numba_sums.py"),
    fault("three sums beyond float32 are no numbers", "backends/numba/sums.py", "if not abs(one + two + three) < np.inf:",
          "if False:", "tests/backends/test_numba_sums.py"),
    fault("a row goes past the caches that no spare one holds", "backends/numba/loops.py",
          " and out.shape[-1] <= self.streams_up_to", "", "tests/backends/test_numba_threads.py"),
    fault("equals count as nobody", "benchmarks/analysis/tables.py", "if not self.decided:", "if not self.sole:",
          "tests/report/test_terminal.py", "tests/analysis"),
    fault("two states of a kernel are one", "benchmarks/stats/pairs.py", "min(low, middle - reach), max(high, middle + reach)",
          "middle - reach, middle + reach", "tests/stats/test_pairs.py"),
    fault("all turns take as long", "benchmarks/measure/budget.py", "self.costs[group].turn_s / turn_s if",
          "1 / len(to_come) if", "tests/measure/test_budget.py"),
    fault("two disturbed bursts of four are usual", "benchmarks/measure/disturbance.py",
          "usual = statistics.median(self._shares)", "usual = max(self._shares)", "tests/measure/test_disturbance.py"),
    fault("an interval of another level", "benchmarks/stats/pairs.py", "inv_cdf((1 + confidence) / 2)",
          "inv_cdf((1 + confidence) / 2 - 0.2)", "tests/stats"),
    fault("impossible results believed", "benchmarks/measure/plausibility.py",
          "if slowest_rate <= IMPOSSIBLE * fastest:", "if slowest_rate <= 100 * fastest:",
          "tests/measure/test_plausibility.py"),
    fault("a crash ends the run", "benchmarks/measure/remote.py", "except (EOFError, ConnectionError):",
          "except ZeroDivisionError:", "tests/measure/test_pool.py", "-k", "crash or dead"),
    fault("reading is taken for copying", "benchmarks/machine/limit.py",
          'return "read" if bytes_written < READ_ONLY * n_bytes else "copy"', 'return "copy"',
          "tests/machine/test_bandwidth.py"),
    fault("a busy machine goes untold", "benchmarks/machine/doubts.py", "if others <= BUSY:", "if others <= 2:",
          "tests/machine/test_machine.py"),
    # Devices, made-up ones.
    fault("launches are taken for bandwidth", "benchmarks/machine/bandwidth.py",
          "least = LAUNCHED * min(known.values())", "least = 0.0", "tests/measure/test_device.py"),
    fault("launches are in the device's time", "backends/torch/clock.py", "queued_ahead = not start.query()",
          "queued_ahead = True", "tests/backends/test_clocks.py"),
    fault("each worker takes three quarters of a GPU", "benchmarks/machine/resources.py",
          '"XLA_PYTHON_CLIENT_PREALLOCATE": "false"', '"XLA_PYTHON_CLIENT_PREALLOCATE": "true"',
          "tests/measure/test_device.py"),
    fault("a broken device keeps its worker", "benchmarks/measure/pool.py",
          "if error.is_broken or not worker.alive:", "if not worker.alive:", "tests/measure/test_device.py"),
    fault("a deviation of one device excuses another", "benchmarks/check/deviations.py",
          "and kind_of(check.device) in self.devices", "and self.devices", "tests/check/test_accuracy.py"),
    fault("a graph is captured on another stream than its forward", "backends/torch/graphs.py",
          "with cuda.graph(graph, stream=stream):", "with cuda.graph(graph, stream=cuda.Stream()):",
          "tests/backends/test_graphs.py"),
    fault("what cannot be captured is called anyway", "backends/torch/graphs.py",
          "raise _told(cuda, error) from error", "return run", "tests/backends/test_graphs.py"),
    fault("a graph keeps no inputs", "backends/torch/graphs.py", "replay = Replay(graph, output, run)",
          "replay = Replay(graph, output, None)", "tests/backends/test_graphs.py"),
    fault("graphs and plain calls are one case", "benchmarks/measure/calls.py", 'if case.launch == "graph":',
          'if case.launch == "never":', "tests/measure/test_device.py"),
    fault("a device that is faster than its memory is believed", "benchmarks/measure/limits.py",
          "if not share > SURPLUS or", "if not share > 100 or", "tests/measure/test_device.py"),
    fault("cold calls have the limit of the cache", "benchmarks/machine/limit.py",
          'if self.cache == "cold" else self.n_bytes', 'if self.cache == "never" else self.n_bytes',
          "tests/measure/test_device.py"),
    fault("copies are timed on the workers that hold a case", "benchmarks/measure/harness.py",
          """            limits = {case.device: self._limits.of(case.device) for case in cases if self.with_bandwidth}
        with group.prepared():
""", """            limits = {}
        with group.prepared():
            limits = {case.device: self._limits.of(case.device) for case in cases if self.with_bandwidth}
""", "tests/measure/test_device.py"),
    fault("a transfer that hung is tried again", "benchmarks/measure/transfers.py",
          "if place in self._without:", "if place is self._without:", "tests/measure/test_device.py"),
    fault("persisting lines stay", "benchmarks/measure/prepared.py", "        self.cool()\n", "",
          "tests/measure/test_device.py"),
    fault("a formula's constant is of the other type", "backends/numba_cuda/formulas.py",
          "self._of_table(value, table[self._dtype])", 'self._of_table(value, table["float64"])',
          "tests/backends/test_numba_cuda.py"),
    # What is kept.
    fault("a run cut short looks complete", "benchmarks/plugin/hooks.py",
          "harness.close(complete=not config.stash.get(UNDONE, ()))", "harness.close(complete=True)",
          "tests/plugin/test_resume.py", "-k", "complete"),
    fault("a run cut short is saved as a baseline", "benchmarks/plugin/hooks.py", "    if not harness.complete:\n        _keep",
          "    if harness.lost:\n        _keep", "tests/plugin/test_resume.py", "-k", "complete"),
    fault("a run that goes on measures everything again", "benchmarks/measure/harness.py",
          "if each not in known] or [case]", "if each] or [case]", "tests/measure/test_replay.py"),
    fault("a run goes on under other conditions", "benchmarks/record/planned.py", "if before != after:", "if before > after * 9:",
          "tests/plugin/test_resume.py", "-k", "differ"),
    fault("a run goes on in spite of differences unasked", "benchmarks/plugin/resume.py",
          "if found and not option.resume_force:", "if found and option.resume_force:", "tests/plugin/test_resume.py",
          "-k", "condition or forced"),
    fault("a run of two machines is not marked as mixed", "benchmarks/plugin/resume.py",
          "config.stash[MIXED] = [Caveat(text)]", "config.stash[MIXED] = []", "tests/plugin/test_resume.py", "-k", "mixed"),
    fault("half a line stays where a run goes on", "benchmarks/record/recorder.py",
          "os.ftruncate(self._file.fileno(), earlier.size)", "pass", "tests/record/test_unfinished.py", "-k", "half"),
    fault("a run that is being measured is gone on with", "benchmarks/record/lock.py",
          "except BlockingIOError:\n        return False", "except BlockingIOError:\n        return True",
          "tests/record/test_unfinished.py", "-k", "being_measured"),
    # A fleet: each group once, on equal machines, one at a time on each.
    fault("the group of a lost node is forgotten", "benchmarks/fleet/assignment.py", "self._left.appendleft(unit)", "pass",
          "tests/fleet/test_driver.py", "-k", "lost"),
    fault("machines of several kinds share a plan", "benchmarks/fleet/assignment.py", "found.setdefault(hello.machine, [])",
          "found.setdefault(\"\", [])", "tests/fleet/test_driver.py", "-k", "kind"),
    fault("machines with other packages share a plan", "benchmarks/fleet/assignment.py", "if here != there]", "if False]",
          "tests/fleet/test_driver.py", "-k", "packages"),
    fault("nodes on one machine measure at once", "benchmarks/fleet/driver.py",
          "if any(each.kernel == worker.kernel for each in active):", "if False:", "tests/fleet/test_driver.py", "-k", "turn"),
    fault("a fleet's run without a group is complete", "benchmarks/fleet/parts.py", 'if cut_short and line["type"] == "end":',
          "if False:", "tests/fleet/test_driver.py", "-k", "complete"),
    fault("what Ray sets for its workers stays", "benchmarks/fleet/courier.py",
          "kept = before if before is not None else", "kept = own if before is not None else",
          "tests/fleet/test_courier.py", "-k", "undone"),
    fault("a reply of any length is waited for", "benchmarks/measure/limited.py", "if not 0 < length <= MOST_BYTES:",
          "if length < 0:", "tests/measure/test_limits_of_workers.py", "-k", "no_message"),
    fault("what a killed process leaves behind lives on", "benchmarks/machine/guardian.py",
          "            os.killpg(group, signal.SIGKILL)\n", "            pass\n",
          "tests/measure/test_limits_of_workers.py", "-k", "leaves_behind"),
    fault("who has left its group lives on", "benchmarks/machine/guardian.py",
          "                    os.kill(int(process.name), signal.SIGKILL)\n", "                    pass\n",
          "tests/measure/test_limits_of_workers.py", "-k", "has_a_mark"),
    fault("the guardian ends whom it was to forget", "benchmarks/machine/guardian.py",
          "else groups.discard)", "else groups.add)", "tests/measure/test_limits_of_workers.py", "-k", "leaves_behind"),
    fault("all that a worker prints is passed on", "benchmarks/measure/printed.py", "if self._n_bytes < MOST_BYTES:",
          "if self._n_bytes >= 0:", "tests/measure/test_limits_of_workers.py", "-k", "passed_on"),
    fault("what a worker prints last is not kept", "benchmarks/measure/printed.py",
          "deque(maxlen=_KEPT)", "deque(maxlen=0)", "tests/measure/test_limits_of_workers.py", "-k", "passed_on or quoted"),
    fault("a group cut short goes unnoticed", "benchmarks/record/assembly.py", "if n_missing > 0:", "if n_missing > 9:",
          "tests/record/test_schema.py", "-k", "cut_short"),
    fault("the journal's last line is believed", "benchmarks/record/journal.py", "if i == len(lines):", "if i < 0:",
          "tests/analysis/test_analysis.py", "tests/record"),
    fault("a changed line is believed", "benchmarks/record/journal.py", "    if found or since:\n", "    if not found and since:\n",
          "tests/record/test_damage.py", "-k", "changed_moved"),
    fault("one bad journal stops every command", "benchmarks/record/saved.py",
          "            yield load_runs(journal)\n        except (OSError, UnreadableError)",
          "            yield load_runs(journal)\n        except ZeroDivisionError",
          "tests/record/test_damage.py", "-k", "bad_file"),
    fault("a changed Parquet file is believed", "benchmarks/record/history.py", "    if at := _changed(content):", "    if at := 0:",
          "tests/record/test_history.py", "-k", "changed_byte"),
    fault("a formula goes raw into CSV", "benchmarks/record/tables.py", "return f\"'{text}\" if", "return text if",
          "tests/record/test_damage.py", "-k", "formula"),
    fault("a full disk costs what it did not take", "benchmarks/record/recorder.py",
          "                self._unwritten.insert(0, record)\n", "                pass\n", "tests/record/test_damage.py",
          "-k", "full_for_a_while"),
    fault("NaN is recorded as zero", "benchmarks/record/journal.py", "    if is_missing(value):\n        return None\n",
          "    if is_missing(value):\n        return 0.0\n", "tests/analysis/test_analysis.py"),
    fault("a column changes its type", "benchmarks/record/schema.py", "peak_bytes: int | None = column(",
          "peak_bytes: float | None = column(", "tests/record/test_schema.py", "-k", "type_unit"),
    fault("a policy does not tell cases apart", "benchmarks/record/schema.py",
          '"shape", "n_elements", *POLICIES)', '"shape", "n_elements", *POLICIES[1:])', "tests/analysis"),
    fault("a pool's sibling ignores the number of threads", "benchmarks/measure/pool.py",
          "threads = teams.size_of(policies.team) or self.threads", "threads = self.threads",
          "tests/measure/test_pool.py", "-k", "sibling"),
    fault("several numbers of threads are taken for one", "benchmarks/plan/arguments.py",
          "if len(sizes) > 1 else ()", "if len(sizes) > 9 else ()", "tests/plugin/test_suites.py", "-k", "threads"),
    fault("what was taken as meant is not said", "benchmarks/plan/spelling.py",
          "namespace.readings = (*readings(namespace), said)", "pass", "tests/plan/test_spelling.py", "-k", "otherwise"),
    fault("of names of the same letters the first of all is meant", "backends/nearest.py",
          "if sorted(word) == sorted(wrong)]", "if len(word) == len(wrong)]", "tests/plan/test_spelling.py", "-k", "nearest"),
    fault("a device of another number is the first", "benchmarks/plan/arguments.py", 'return f"{found}:{int(index)}"',
          "return found", "tests/plan/test_spelling.py", "-k", "usual"),
    fault("errors of two types are compared in ULP", "benchmarks/analysis/dtypes.py",
          "other_error=other.error_ulp * UNIT.get(other.dtype, math.nan)", "other_error=other.error_ulp",
          "tests/analysis/test_dtypes.py"),
    fault("of a fused op's parts one alone counts", "benchmarks/analysis/fusions.py",
          "sum(values) for values in zip", "max(values) for values in zip", "tests/analysis/test_fusions.py"),
    fault("a call's memory is not asked for", "benchmarks/analysis/recommend.py",
          " or _too_large(extra, question.max_memory)", "", "tests/analysis/test_recommend.py", "-k", "memory"),
    fault("more threads pay though they do not at a larger size", "benchmarks/analysis/ranges.py",
          "larger = sizes[sizes > other.max()]", "larger = sizes[sizes > other.min()]", "tests/analysis/test_threads.py"),
    fault("the history keeps nothing", "benchmarks/record/history.py", "        temporary.replace(path)\n",
          "        pass\n", "tests/record/test_history.py"),
    fault("home folders are published", "benchmarks/record/journal.py", "return without_homes(value)", "return str(value)",
          "tests/record/test_privacy.py"),
    # Verdicts.
    fault("slower is called faster", "benchmarks/stats/verdicts.py", "        return SLOWER\n",
          "        return FASTER\n", "tests/stats/test_verdicts.py"),
    fault("a regression exits with 0", "benchmarks/report/text/comparison.py", "            return Exit.WORSE\n",
          "            return Exit.FINE\n", "tests/judge/test_compare.py"),
    fault("a mistake of ours exits like a verdict", "benchmarks/__main__.py",
          "            return Exit.FAULT\n", "            return Exit.WORSE\n", "tests/commands/test_exits.py"),
    fault("ab takes a module of the checkout", "benchmarks/measure/elsewhere.py",
          "place.is_relative_to(self._checkout) and", "False and", "tests/measure/test_sides.py", "-k", "checkout"),
    fault("a worker searches the current folder", "benchmarks/processes.py", '(sys.executable, "-P", "-m", module)',
          '(sys.executable, "-m", module)', "tests/test_processes.py"),
    fault("an installed backend replaces ours", "backends/__init__.py", "if double := sorted(taken & set(_names(answer))):",
          "if double := sorted(set() & set(_names(answer))):", "tests/backends/test_plugins.py"),
    fault("times are taken in several processes at once", "benchmarks/plugin/options.py",
          "    _refuse_distribution(config)\n", "", "tests/plugin/test_suites.py", "-k", "distributed"),
    fault("many looks are not paid for", "benchmarks/stats/sittings.py", "min(1.0, len(LOOKS) * found.p)", "found.p",
          "tests/stats/test_sittings.py"),
    fault("a ratio is as sure as one side", "benchmarks/stats/ratios.py",
          "down = math.hypot(_log(a_median) - _log(a_low), _log(b_high) - _log(b_median))",
          "down = _log(a_median) - _log(a_low)", "tests/stats/test_ratios.py"),
    fault("a shift is found in noise", "benchmarks/stats/shifts.py", "1 - _LEVEL / (2 * places)", "0.6",
          "tests/stats/test_shifts.py"),
    fault("speed-ups the wrong way round", "benchmarks/analysis/tables.py",
          "verdicts.over(baseline, own)", "verdicts.over(own, baseline)", "tests/analysis/test_analysis.py"),
    fault("a pair is read the wrong way round", "benchmarks/analysis/verdicts.py",
          "self._over_turns[pair.group, slower, faster] = pair.comparison", "self._over_turns[pair.group, faster, slower] = pair.comparison",
          "tests/analysis/test_verdicts.py"),
    # Each command.
    fault("ab measures the base twice", "benchmarks/measure/duel.py", "for side in (self.base, self.head)",
          "for side in (self.base, self.base)", "tests/measure/test_duel.py"),
    fault("compare takes runs of any two machines", "benchmarks/judge/comparable.py",
          "old, new = base.machine.get(name), head.machine.get(name)", 'old = new = name or base or head',
          "tests/judge/test_compare.py"),
    fault("recommend takes the slowest", "benchmarks/analysis/recommend.py",
          "found.sort(key=lambda candidate: (candidate.seconds,", "found.sort(key=lambda candidate: (-candidate.seconds,",
          "tests/analysis/test_recommend.py"),
    fault("an answer calls the last of its ranking", "benchmarks/analysis/answer.py",
          "            self.best.backend,\n            asked.op,", "            self.ranking[-1].backend,\n            asked.op,",
          "tests/analysis/test_recommend.py"),
    fault("a call does not fill in parameters", "backends/calling.py",
          "return ast.Constant(self._values[node.id]) if node.id in self._values else node", "return node",
          "tests/backends/test_calling.py"),
    fault("a winner is called for another pass", "benchmarks/report/sections/calling.py", "mode=leader.mode,",
          'mode="backward",', "tests/report/test_sections.py", "-k", "call_each_winner"),
    fault("a wrong function of one's own is right", "benchmarks/api.py", 'return each.found.status == "ok"',
          "return each.found is not None", "tests/api/test_api.py"),
    fault("export ignores filters", "benchmarks/commands/export.py", "study = Study(replace(measured, records=records))",
          "study = Study(measured)", "tests/commands/test_export.py"),
    fault("report takes the oldest run", "benchmarks/record/saved.py", 'in _readable(sorted((results / JOURNALS).glob("*.jsonl"), reverse=True))',
          'in _readable(sorted((results / JOURNALS).glob("*.jsonl")))', "tests/commands/test_command_line.py"),
    fault("trend orders runs backwards", "benchmarks/judge/trend.py", "level_before: float\n    level_after: float",
          "level_after: float\n    level_before: float", "tests/judge/test_trend.py"),
    fault("leads count the slower side", "benchmarks/analysis/leads.py", "against = verdicts.over(other, own)",
          "against = verdicts.over(own, other)", "tests/analysis/test_leads.py"),
    fault("docs are never out of date", "benchmarks/commands/docs.py", "if options.check and (outdated or needless):",
          "if options.check and not (outdated or needless):", "tests/commands/test_docs.py"),
    fault("validate finds no alarms", "benchmarks/commands/validate.py", "measure=lambda _: alarms.table()",
          "measure=lambda _: None", "tests/commands/test_command_line.py"),
    # Functions that somebody tries.
    fault("a wrong function that is tried is called right", "benchmarks/analysis/trials.py", "return Exit.WRONG",
          "return Exit.FINE", "tests/analysis/test_trials.py"),
    fault("a wrong special value is listed as right", "benchmarks/report/terminal/trial.py",
          "if point.ulp > allowed or", "if point.ulp < 0 and", "tests/report/test_trial.py"),
    fault("a candidate has the name of a backend", "benchmarks/plan/candidates.py",
          "next(name for name in names if name not in taken)", "next(iter(names))", "tests/plan/test_candidates.py"),
    fault("a type that a candidate refuses is a mistake", "backends/candidates.py", "if other != dtype", "if not dtype",
          "tests/backends/test_candidates.py"),
    fault("an error of a candidate lies in all regions", "benchmarks/check/regions.py",
          "(x >= low) & (x < high)", "(x >= low) | (x < high)", "tests/check/test_regions.py"),
    fault("a try begins what does not end in time", "benchmarks/measure/trial.py",
          "if not i or GROUP_S + GROUP_CALLS * call_s(pool, comparable[0]) <= budget.left_s:", "if budget.left_s:",
          "tests/measure/test_trial.py"),
    fault("a gradient is not looked for beside its function", "benchmarks/plan/candidates.py",
          'return usual if names and usual in names else ""', 'return ""', "tests/plan/test_candidates.py",
          "-k", "gradient"),
    # The bridge.
    fault("a gradient that kernels lack is zero", "backends/peers/torch_numba_backend.py",
          "if any(a is not None and a.requires_grad for a in inputs[1:]):", "if not inputs:",
          "tests/backends/test_bridge.py", "-k", "refused_and_not_zero"),
    fault("bfloat16's bits are taken for integers", "backends/peers/torch_numba_backend.py",
          'return bits.view("bfloat16")', "return bits", "tests/backends/test_bridge.py", "-k", "same_memory"),
    # The page.
    fault("the page does not escape names", "benchmarks/report/pages/shell.py", "autoescape=True", "autoescape=False",
          "tests/report/test_report.py"),
    fault("a table of the page is missing", "benchmarks/report/files.py",
          '"policies": (lambda study: study.side_by_side, results.policies),\n', "", "tests/report/test_report.py"),
)
"""Faults, by what they are in."""
# fmt: on


def planted(tree: Path, fault: Fault) -> str:
    """Plant a fault in a tree and return the file as it was. Raises ValueError unless `old` stands there once."""
    path = tree / fault.file
    source = path.read_text(encoding="utf-8")
    if (n := source.count(fault.old)) != 1:
        raise ValueError(f"{fault.name}: {fault.file} must hold {fault.old!r} once; it does {n} times")
    _write(path, source.replace(fault.old, fault.new))
    return source


def _write(path: Path, source: str) -> None:
    """Write a module, and forget what was compiled of it: of the same length and second, it would be believed."""
    path.write_text(source, encoding="utf-8")
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def passes(tree: Path, tests: Sequence[str]) -> bool:
    """Tell whether everyday tests pass on a tree; they end at the first failure."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise ValueError(f"{' '.join(tests)}: pytest ended with {done.returncode}: {done.stdout[-2000:]}")
    return done.returncode == 0


@cache
def passes_unplanted(tree: Path, tests: tuple[str, ...]) -> bool:
    """Tell whether tests pass on a tree as it is: asked once of those that several faults have in common."""
    return passes(tree, tests)


def is_caught(tree: Path, fault: Fault) -> bool:
    """Plant a fault in a tree, try it, and mend it. Raises ValueError if it cannot be planted or tried."""
    source = planted(tree, fault)
    try:
        caught = not passes(tree, fault.tests)
    finally:
        _write(tree / fault.file, source)
    if caught and not passes_unplanted(tree, fault.tests):
        raise ValueError(f"{fault.name}: its tests fail without it")
    return caught


def main(words: Sequence[str]) -> int:
    """Plant faults and say which were caught."""
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    n_caught = n_untried = 0
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        tree = Path(folder)
        for part in PARTS:
            source = ROOT / part
            (shutil.copytree if source.is_dir() else shutil.copy)(source, tree / part)
        for fault in chosen:
            started = time.monotonic()
            try:
                caught = is_caught(tree, fault)
            except ValueError as error:
                print(f"error: {error}", file=sys.stderr, flush=True)
                n_untried += 1
                continue
            n_caught += caught
            print(
                f"{'caught' if caught else 'MISSED'}  {fault.name} ({time.monotonic() - started:.0f} s)",
                flush=True,
            )
    print(f"{n_caught} of {len(chosen)} faults caught")
    return 2 if n_untried else int(n_caught < len(chosen))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
