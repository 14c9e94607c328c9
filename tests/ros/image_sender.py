"""Publishes raw 640x480 pictures at 30 Hz, best effort, numbered in their stamps: image_sender.py FRAMES"""

from __future__ import annotations

import sys
import time

import numpy as np
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from o2o_nodes import convert


def main(frames: int) -> None:
    rclpy.init()
    node = rclpy.create_node("image_sender")
    out = node.create_publisher(Image, "front/color/image_raw", qos_profile_sensor_data)
    pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    deadline_s = time.monotonic() + 30.0
    while not out.get_subscription_count() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    # number 0 goes until the reader says by leaving its other topic that it hears
    while node.count_subscribers("waiting") and time.monotonic() < deadline_s:
        out.publish(convert.image_message(pixels, 0, "front"))
        time.sleep(1 / 30)
    next_s = time.monotonic()
    for number in range(1, frames + 1):
        out.publish(convert.image_message(pixels, number, "front"))
        next_s += 1 / 30
        time.sleep(max(0.0, next_s - time.monotonic()))
    while out.get_subscription_count() and time.monotonic() < deadline_s:
        time.sleep(0.02)


if __name__ == "__main__":
    main(int(sys.argv[1]))
