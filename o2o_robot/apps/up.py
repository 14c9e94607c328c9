"""`o2o up collect|evaluate|finetune`: the same graph as the launch files, where `ros2 launch` is not installed."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from o2o_robot import overlay
from o2o_robot.graph import STORIES, Up
from o2o_robot.progress import SessionProgress
from o2o_robot.supervise import Supervisor


def bring_up(story: str, up: Up) -> Supervisor:
    """Run a graph to its end, showing how far its session is. Raises GraphError when a node dies."""
    _, describe = STORIES[story]
    run_dir = Path(up.run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor(describe(up, overlay.share()), run_dir)
    with supervisor, SessionProgress(story, run_dir) as progress:
        supervisor.wait(tell=progress.tell)
    return supervisor


def run(story: str, up: Up) -> int:
    """Bring up one graph and say where its results are."""
    supervisor = bring_up(story, up)
    bad = [node for node in supervisor.facts() if node["exit_code"] != 0]
    for node in bad:
        Console(stderr=True).print(f"{node['name']} ended with code {node['exit_code']}; see {up.run_dir}/logs")
    print(f"{'interrupted' if supervisor.interrupted else 'done'}: {up.run_dir}")
    return 1 if bad else 0
