"""Thin ROS 2 shells around o2o_robot: they convert, call and publish."""
