"""`o2o up collect|evaluate|finetune`: the same graph as the launch files, where `ros2 launch` is not installed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from o2o_robot import overlay, run_folder
from o2o_robot.data.provenance import git_revision, versions
from o2o_robot.graph import STORIES, Up
from o2o_robot.progress import SessionProgress
from o2o_robot.supervise import Supervisor


def bring_up(story: str, up: Up, *, patience_s: float = 0.0) -> Supervisor:
    """Run a graph to its end, showing how far its session is. Raises GraphError when a node dies.

    patience_s: how long to wait for the nodes of a run that was killed in this folder to be gone.
    """
    _, describe = STORIES[story]
    run_dir = Path(up.run_dir)
    with run_folder.in_use(run_dir, patience_s=patience_s) as lock:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        run_folder.save(run_dir, story, up, {"at": now, "versions": versions(), "git_revision": git_revision()})
        supervisor = Supervisor(describe(up, overlay.share()), run_dir, held=(lock,))
        with supervisor, SessionProgress(story, run_dir) as progress:
            supervisor.wait(tell=progress.tell)
    return supervisor


def run(story: str, up: Up, *, patience_s: float = 0.0) -> int:
    """Bring up one graph and say where its results are."""
    supervisor = bring_up(story, up, patience_s=patience_s)
    bad = [node for node in supervisor.facts() if node["exit_code"] != 0]
    for node in bad:
        Console(stderr=True).print(f"{node['name']} ended with code {node['exit_code']}; see {up.run_dir}/logs")
    for node in supervisor.facts():
        if node["restarts"]:
            Console(stderr=True).print(
                f"{node['name']} died {node['restarts']} times and came back; see {up.run_dir}/logs"
            )
    print(f"{'interrupted' if supervisor.interrupted else 'done'}: {up.run_dir}")
    return 1 if bad else 0
