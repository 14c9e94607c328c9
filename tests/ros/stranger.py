"""A process that looks around: python stranger.py PATIENCE_S NAME... prints the names of all nodes it knows, as JSON.

It ends once those named are among them, or once patience has run out.
"""

from __future__ import annotations

import json
import sys
import time

import rclpy


def main(patience_s: float, wanted: set[str]) -> None:
    rclpy.init()
    node = rclpy.create_node("stranger")
    deadline_s = time.monotonic() + patience_s
    while not wanted <= (known := set(node.get_node_names())) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    print(json.dumps(sorted(known)))
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main(float(sys.argv[1]), set(sys.argv[2:]))
