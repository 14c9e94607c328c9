"""camera_node on a software RealSense at 30 Hz. Told on its input: `unplug`, `plug`. Frame k is k % 200 everywhere."""

from __future__ import annotations

import os
import threading
import time

import numpy as np

from o2o_nodes import camera_node
from o2o_robot.robot.realsense import Realsense

# after rclpy, as in the node itself: tests/robot/conftest.py says why
from software_realsense import SoftwareRealsense  # isort: skip


def feed(device: SoftwareRealsense, ending: threading.Event) -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    k, next_s = 0, time.monotonic()
    while not ending.is_set():
        image[:] = k % 200
        device.feed(image, 40_000.0 + 1e3 * time.monotonic())
        k, next_s = k + 1, next_s + 1 / 30
        time.sleep(max(0.0, next_s - time.monotonic()))


def obey(device: SoftwareRealsense) -> None:
    while line := os.read(0, 64):  # sys.stdin's lock would be held by this thread when the process ends
        device.is_plugged_in = line.strip() == b"plug"


def main() -> None:
    device = SoftwareRealsense("123")
    camera_node.make_camera = lambda config, **clocks: Realsense(config, new_context=device.new_context, **clocks)
    ending = threading.Event()
    feeding = threading.Thread(target=feed, args=(device, ending))
    feeding.start()
    threading.Thread(target=obey, args=(device,), daemon=True).start()
    try:
        camera_node.main()
    finally:  # no frame may be on its way into a library that is being unloaded
        ending.set()
        feeding.join()
        device.let_go()


if __name__ == "__main__":
    main()
