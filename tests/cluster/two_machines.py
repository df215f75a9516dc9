"""Two Ray nodes of this machine, each with one core. Prints the address; the second is killed at a line on standard input,
the first when that ends."""

import os
import sys

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

from ray.cluster_utils import Cluster

options = {"num_cpus": 1, "object_store_memory": 1 << 28, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=options)
second = cluster.add_node(**options)
print(f"address {cluster.address}", flush=True)
if sys.stdin.readline():
    cluster.remove_node(second, allow_graceful=False)
    print("killed", flush=True)
    sys.stdin.read()
cluster.shutdown()
