"""Recordings to episodes to batches: numpy and zarr, no torch, no ROS."""
