"""Hears numbered pictures with the sensor QoS until the last one, or none for three seconds; prints how many came."""

from __future__ import annotations

import sys
import time

import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from o2o_nodes import convert

QUIET_S, FIRST_S = 3.0, 10.0


def main(frames: int) -> None:
    rclpy.init()
    node = rclpy.create_node("image_reader")
    waiting = node.create_subscription(Image, "waiting", lambda _: None, 1)
    heard: set[int] = set()
    node.create_subscription(
        Image,
        "front/color/image_raw",
        lambda message: heard.add(convert.stamp_ns(message.header.stamp)),
        qos_profile_sensor_data,
    )
    began_s = last_s = time.monotonic()
    n_before = 0
    while frames not in heard:
        rclpy.spin_once(node, timeout_sec=0.1)
        now_s = time.monotonic()
        if waiting is not None and (heard or now_s - began_s > FIRST_S):
            node.destroy_subscription(waiting)  # the sender may begin to count
            waiting = None
            last_s = now_s
        if len(heard) > n_before:
            n_before, last_s = len(heard), now_s
        if waiting is None and now_s - last_s > QUIET_S:
            break
    print(len(heard - {0}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
