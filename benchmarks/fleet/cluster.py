"""The cluster: Ray. It places a courier on each node, alone on it, and carries what is asked and answered."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.fleet import archive, courier, units
from benchmarks.fleet.assignment import Node
from benchmarks.fleet.driver import Answer

AUTO, LOCAL = "auto", "local"
"""Stand for the cluster that this machine is in, and for one of this machine alone that ends with the driver."""
_ADDRESS = "RAY_ADDRESS"
"""The variable that names the cluster which this machine is in; to Ray, it outweighs what is asked for."""
_CURRENT = Path("/tmp/ray/ray_current_cluster")
"""Holds the address of the cluster that was started last on this machine, also when that has ended."""
_CONNECT_S = 10.0
"""Whoever has not answered after so long is not there; Ray would try for minutes."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # sends nothing to Ray's makers
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # leaves out a warning about GPUs to those who have none
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # passes on none of Ray's own log: 20 lines for a lost node
}
"""Variables that are set before Ray is imported, unless the user has."""


def load() -> Any:
    """Import Ray; raise ValueError with what to install where it is missing."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ValueError(
            "fleet: needs Ray: pip install 'activation-bench[fleet]', here and on all nodes"
        ) from None
    return ray


def resolved(address: str) -> str:
    """Return the address that `auto` stands for, where there is one, and any other as it is."""
    if address != AUTO:
        return address
    if given := os.environ.get(_ADDRESS):
        return given
    try:
        return _CURRENT.read_text(encoding="utf-8").strip() or AUTO
    except OSError:
        return AUTO  # Ray may find one in another way, and says if it does not


def require_there(address: str) -> None:
    """Raise ValueError for what is no address, or where nobody answers."""
    if address in (AUTO, LOCAL):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or int(port) >= 2**16:
        raise ValueError(f"--address: must be {AUTO}, {LOCAL} or HOST:PORT; got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except OSError as error:
        raise ValueError(f"--address: no Ray cluster answers at {address}: {error.strerror or error}") from None


class RayCluster:
    """A Ray cluster whose nodes run `words`, the arguments of our command line.

    Raises ValueError where there is none at this address.
    """

    def __init__(self, address: str, words: Sequence[str]) -> None:
        address = resolved(address)
        require_there(address)
        self._ray = ray = load()
        os.environ.pop(_ADDRESS, None)
        own: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
        before = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
        except (ConnectionError, RuntimeError, ValueError) as error:
            said = str(error).strip().partition("\n")[0]
            raise ValueError(f"--address: no Ray cluster can be joined at {address!r}: {said}") from error
        signal.signal(signal.SIGTERM, before)  # Ray's own would end the driver before it has merged anything
        # As it is, and not by its name: our code is not on the nodes yet.
        ray.cloudpickle.register_pickle_by_value(courier)
        self._courier = ray.remote(courier.Courier)
        self.version = str(ray.__version__)
        self._archive = ray.put(archive.packed())
        self._words = list(words)
        self._actors: dict[str, Any] = {}
        self._pending: dict[Any, str] = {}

    def nodes(self) -> list[Node]:
        """Return the nodes that are alive."""
        return [
            Node(each["NodeID"], each["NodeManagerAddress"], each["Resources"])
            for each in self._ray.nodes()
            if each["Alive"]
        ]

    def start(self, node: Node) -> None:
        """Place a courier on a node, with all of its processors and GPUs, and have it start a run."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        actor = self._courier.options(
            num_cpus=node.processors,
            num_gpus=node.resources.get("GPU", 0.0),
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            max_restarts=0,
        ).remote()
        self._actors[node.id] = actor
        module = __package__.rpartition(".")[0]
        words = [*self._words, "-p", units.__name__]
        self._pending[actor.start.remote(self._archive, module, words, units.VARIABLE)] = node.id

    def measure(self, node: str, unit: str) -> None:
        """Have a node measure a unit."""
        self._pending[self._actors[node].measure.remote(unit)] = node

    def finish(self, node: str) -> None:
        """Have the run on a node end."""
        self._pending[self._actors[node].finish.remote()] = node

    def end(self, node: str) -> None:
        """End the courier of a node, and so its run."""
        self._ray.kill(self._actors[node], no_restart=True)
        self._pending = {reference: of for reference, of in self._pending.items() if of != node}

    def wait(self, limit_s: float) -> list[Answer]:
        """Return the answers that are there, or the next one if it comes in time."""
        if not self._pending:
            time.sleep(limit_s)
            return []
        ready, _ = self._ray.wait(list(self._pending), timeout=limit_s)
        return [self._answer(reference, self._pending.pop(reference)) for reference in ready]

    def close(self) -> None:
        """Leave the cluster; what is still on its nodes ends."""
        for actor in self._actors.values():
            self._ray.kill(actor, no_restart=True)
        self._ray.shutdown()

    def _answer(self, reference: Any, node: str) -> Answer:
        try:
            text, lines = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            return Answer(node, error=str(error.cause))
        except self._ray.exceptions.RayError as error:
            return Answer(node, error=f"it has died, or Ray's worker on it has ({type(error).__name__})")
        return Answer(node, text, lines)
