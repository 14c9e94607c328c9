"""Offline-to-online reinforcement learning on real robot arms, in ROS 2."""

__version__ = "0.1.0"
