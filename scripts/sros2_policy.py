"""Writes launch/sros2/policy.xml from the twin's running graphs, and what they do not show (o2o_robot/sros2.py).

. scripts/env.sh; python scripts/sros2_policy.py --checkpoint runs/demo/pretrain/checkpoint
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import rclpy
from rclpy.node import Node

from o2o_nodes.who_speaks import profile_of
from o2o_robot import overlay
from o2o_robot.graph import STORIES, Process
from o2o_robot.sros2 import Profile, with_unseen, write_policy
from o2o_robot.supervise import Supervisor

SETTLED_S = 15.0  # a learner reads its checkpoint before it speaks
COMMENT = "Written by scripts/sros2_policy.py from the running graph; tests/ros/test_sros2_policy.py compares the two."


def idle(story: str, run_dir: Path, checkpoint: str) -> list[Process]:
    """A story's processes, with nothing scheduled."""
    settings, describe = STORIES[story]
    own = {"checkpoint": checkpoint} if hasattr(settings(), "checkpoint") else {}
    processes = describe(settings(run_dir=str(run_dir), **own), overlay.share())
    return [
        replace(each, parameters={**each.parameters, **({"schedule": [""]} if each.is_session else {})})
        for each in processes
    ]


def seen_in(processes: list[Process], run_dir: Path) -> dict[str, Profile]:
    """Node -> what it does, once nothing new was seen for SETTLED_S."""
    rclpy.init()
    asking = Node("who_speaks")
    names, seen = [each.name for each in processes], dict[str, Profile]()
    with Supervisor(processes, run_dir):
        changed_s = time.monotonic()
        while time.monotonic() - changed_s < SETTLED_S or len(seen) < len(names):
            there = {name for name in names if name in asking.get_node_names()}
            now = {name: seen.get(name, Profile()) | profile_of(asking, name) for name in there}
            if now != seen:
                seen, changed_s = seen | now, time.monotonic()
            time.sleep(0.1)
    asking.destroy_node()
    rclpy.shutdown()
    return seen


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--checkpoint", required=True, help="folder of any policy's checkpoint, for policy and learner")
    asked.add_argument("--out", type=Path, default=overlay.share() / "sros2" / "policy.xml")
    told = asked.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    whole: dict[str, Profile] = {}
    for story in STORIES:
        with tempfile.TemporaryDirectory() as folder:
            for name, one in seen_in(idle(story, Path(folder), told.checkpoint), Path(folder)).items():
                whole[name] = whole.get(name, Profile()) | one
    write_policy(told.out, with_unseen(whole), COMMENT)
    print(f"{told.out}: {', '.join(sorted(with_unseen(whole)))}")


if __name__ == "__main__":
    main()
