"""Two emulated nodes: a Ray cluster on this machine alone, `python -m tests.fleet.emulated`.

It prints the cluster's address, and then kills the node whose id begins with what it reads from its input, line by
line, until that ends.
"""

from __future__ import annotations

import os
import sys

SOON = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
}
"""Lets a lost node be noticed within seconds, where Ray takes half a minute."""


def main() -> None:
    """Start the nodes, and do as is asked."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": SOON}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=2, include_dashboard=False) for _ in range(2)]
    print(cluster.address, flush=True)
    for line in sys.stdin:
        (lost,) = [node for node in nodes if node.node_id.startswith(line.strip())]
        cluster.remove_node(lost, allow_graceful=False)
        print("killed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
