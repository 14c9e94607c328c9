"""The twin in lockstep through its nodes, two 64x64 cameras: control steps per second, and how long an answer takes.

Scripted episodes through teleop_node, arm_node and recorder_node; with --checkpoint, the same through policy_node.
`python benchmarks/nodes.py [--checkpoint runs/demo/pretrain/checkpoint]`. Writes results/nodes.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from o2o_robot import overlay
from o2o_robot.data.provenance import machine, versions
from o2o_robot.graph import STORIES, Collect, Evaluate, Up
from o2o_robot.jsonfile import read_json, read_lines
from o2o_robot.supervise import Supervisor

OUT = Path(__file__).parent / "results" / "nodes.json"
CLEARANCE_M = 0.010  # the demo's, whose checkpoint is measured


def figures(story: str, up: Up) -> dict[str, Any]:
    """Steps per second of wall time within episodes (resets included), and observation-to-target times in ms."""
    run_dir = Path(up.run_dir)
    with Supervisor(STORIES[story][1](up, overlay.share()), run_dir) as running:
        running.wait()
    episodes = list(read_lines(run_dir / "episodes.jsonl"))
    steps, wall_s = sum(e["n_steps"] for e in episodes), sum(e["wall_s"] for e in episodes)
    twin = read_json(run_dir / "twin_node.json")
    return {
        "steps": steps,
        "steps_per_s": round(steps / wall_s, 1),
        "times_real_time": round(steps / wall_s / 10.0, 2),
        "observation_to_target_ms": twin["observation_to_target_ms"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="", help="also measure policy_node with this policy")
    parser.add_argument("--episodes", type=int, default=40)
    chosen = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        collect = Collect(run_dir=f"{folder}/collect", episodes=chosen.episodes, clearance_m=CLEARANCE_M)
        found["teleop_node"] = figures("collect", collect)
        if chosen.checkpoint:
            up = Evaluate(
                run_dir=f"{folder}/evaluate",
                episodes=chosen.episodes,
                checkpoint=chosen.checkpoint,
                clearance_m=CLEARANCE_M,
            )
            found["policy_node"] = figures("evaluate", up)
    for name, row in found.items():
        ms = row["observation_to_target_ms"]
        print(
            f"{name:12s} {row['steps_per_s']:6.1f} steps/s ({row['times_real_time']}x real time), "
            f"observation to target p50 {ms['p50']:.1f} ms, p99 {ms['p99']:.1f} ms"
        )
    OUT.write_text(json.dumps({"figures": found, "machine": machine(), "versions": versions()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
