"""Prints the first member of etcd that has a leader and is not the leader itself."""

import sys
import urllib.request

for host in sys.argv[1:]:
    with urllib.request.urlopen(f"http://{host}:2379/metrics", timeout=2) as answer:
        metrics = answer.read().decode().splitlines()
    if "etcd_server_is_leader 0" in metrics and "etcd_server_has_leader 1" in metrics:
        print(host)
        break
else:
    sys.exit("no member says that it follows a leader")
