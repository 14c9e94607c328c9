"""Thin nodes; one console script for each process of the graph."""

from setuptools import find_packages, setup

NODES = (
    "twin_node",
    "arm_node",
    "policy_node",
    "learner_node",
    "recorder_node",
    "teleop_node",
    "camera_node",
    "reward_node",
    "reset_node",
    "console_node",
)

setup(
    name="o2o_nodes",
    version="0.1.0",
    description="Lifecycle nodes around o2o_robot",
    license="Apache-2.0",
    packages=find_packages(exclude=["test*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/o2o_nodes"]),
        ("share/o2o_nodes", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    entry_points={"console_scripts": [f"{node} = o2o_nodes.{node}:main" for node in NODES]},
)
