"""rclpy is loaded before pyrealsense2, as in camera_node.

The other way round (pyrealsense2 2.59.1, rclpy 9.1.2) the process crashes while it exits, after all tests passed.
"""

from contextlib import suppress

with suppress(ImportError):
    import rclpy  # noqa: F401
