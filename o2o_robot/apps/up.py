"""`o2o up collect|evaluate|finetune`: the same graph as the launch files, where `ros2 launch` is not installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from o2o_robot import overlay, run_folder
from o2o_robot.data.provenance import git_revision, versions
from o2o_robot.flow.keys import LEGEND
from o2o_robot.flow.prompt import Prompt, my_terminal
from o2o_robot.graph import STORIES, Process, Up
from o2o_robot.progress import SessionProgress
from o2o_robot.supervise import Supervisor, ended_well

Beside = Callable[[SessionProgress, Prompt | None], None]
"""What an app does besides, ten times a second while the graph runs."""


def bring_up(
    story: str, up: Up, *, patience_s: float = 0.0, beside: Beside = lambda progress, prompt: None
) -> Supervisor:
    """Run a graph to its end, showing how far its session is. Raises GraphError when a node dies.

    patience_s: how long to wait for the nodes of a run that was killed in this folder to be gone.
    """
    _, describe = STORIES[story]
    run_dir = Path(up.run_dir)
    with run_folder.in_use(run_dir, patience_s=patience_s) as lock:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        run_folder.save(run_dir, story, up, {"at": now, "versions": versions(), "git_revision": git_revision()})
        supervisor = Supervisor(describe(up, overlay.share()), run_dir, held=(lock,))
        with (
            supervisor,
            prompt_of(supervisor.processes, up, run_dir) as prompt,
            SessionProgress(story, run_dir, told=prompt, legend=legend(prompt)) as progress,
        ):
            supervisor.wait(tell=lambda: _tell(progress, prompt, beside))
    return supervisor


def run(story: str, up: Up, *, patience_s: float = 0.0, beside: Beside = lambda progress, prompt: None) -> int:
    """Bring up one graph and say where its results are."""
    supervisor = bring_up(story, up, patience_s=patience_s, beside=beside)
    bad = [node for node in supervisor.facts() if not ended_well(node["exit_code"])]
    for node in bad:
        Console(stderr=True).print(f"{node['name']} ended with code {node['exit_code']}; see {up.run_dir}/logs")
    for node in supervisor.facts():
        if node["restarts"]:
            Console(stderr=True).print(
                f"{node['name']} died {node['restarts']} times and came back; see {up.run_dir}/logs"
            )
    print(f"{'interrupted' if supervisor.interrupted else 'done'}: {up.run_dir}")
    return 1 if bad else 0


@contextmanager
def prompt_of(processes: Sequence[Process], up: Up, run_dir: Path) -> Iterator[Prompt | None]:
    """The keys of the terminal that this was started from, and the session's words; None where there is no terminal.

    A keyboard that moves the arm has the terminal for itself: teleop_node knows the same letters.
    """
    session = next((process.name for process in processes if process.is_session), "")
    terminal = "" if up.teleop == "keyboard" else my_terminal()
    if not session or not (my_terminal() or getattr(up, "begin_paused", False)):
        yield None
        return
    with Prompt(session, log=run_dir / "logs" / "prompt.log", terminal=terminal) as prompt:
        yield prompt


def legend(prompt: Prompt | None) -> str:
    return LEGEND if prompt is not None and prompt.terminal else ""


def _tell(progress: SessionProgress, prompt: Prompt | None, beside: Beside) -> None:
    beside(progress, prompt)
    progress.tell()
