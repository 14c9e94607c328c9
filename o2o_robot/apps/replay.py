"""Do it again on the twin: `o2o replay data/peg.zarr --episode 3` sends a recording's commands and draws the error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich import box
from rich.table import Table

from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.graph import JOINTS
from o2o_robot.report.replay_page import headline, rows, write_page
from o2o_robot.report.replay_plan import Plan, plan_of_episode, plan_of_path, read_path
from o2o_robot.report.replay_run import begin, replay, with_tool_of
from o2o_robot.report.replay_tracking import tracking
from o2o_robot.robot.kinematics import SerialArm
from o2o_robot.safety.limits_table import FACTS
from o2o_robot.terminal import table_console
from o2o_robot.types import Episode

if TYPE_CHECKING:
    from o2o_sim.twin import Twin


def main(
    recording: Annotated[Path, tyro.conf.Positional],
    *,
    episode: int = 0,
    on: Literal["twin"] = "twin",
    robot: Literal["fr3", "ur5e"] = "fr3",
    task: str = "",
    clearance_m: float = 0.002,
    action_scale_m: float = 0.025,
    rate_hz: float = 100.0,
    contacts: bool | None = None,
    out: Path | None = None,
) -> int:
    """Send a recorded episode's commands to the twin from the same start, and measure how far it strays.

    OUT gets replay.html, replay.json, joints.png and tool.png.

    Args:
        recording: an episode store, or a joint path: .npy with columns stamp (ns), joints (rad).
        episode: number in the store.
        on: what moves.
        robot: the twin's arm.
        task: the twin's task; the episode's own unless told.
        clearance_m: of the twin's peg task, as it was recorded: the demo's is 0.010.
        action_scale_m: metres of tool motion for an action of 1, as it was recorded.
        rate_hz: at which a joint path is sent.
        contacts: whether the twin's arm touches the world; unless told an episode does, and a joint path, whose table
            stood elsewhere, does not.
        out: the folder to write to; beside the recording unless told.
    """
    if not 2.0 <= rate_hz <= 500.0:
        raise ConfigError(f"--rate-hz must be 2 to 500 (the twin's physics), got {rate_hz}")
    is_path = recording.suffix == ".npy"
    chosen = None if is_path else _episode(recording, episode)
    stored_task = "" if chosen is None else str(chosen.meta.get("task", ""))
    touches = not is_path if contacts is None else contacts
    with _twin(robot, task or stored_task or "peg", clearance_m, touches) as twin:
        if chosen is not None:
            plan = plan_of_episode(chosen, scale_m=action_scale_m)
        else:
            plan = _path(recording, FACTS[robot, "published"]().kinematics, twin, rate_hz)
        start = begin(twin, plan, period_s=twin.config.period_s)
        got = replay(twin, plan)
    found = tracking(plan.wanted, got)
    source = str(recording) if is_path else f"{recording}, episode {episode}"
    folder = out or recording.with_name(f"{recording.stem}-replay" + ("" if is_path else f"-{episode}"))
    page = write_page(plan, got, found, source=source, start=start, names=JOINTS[robot], out=folder)
    console = table_console()
    console.print(_table(rows(found, JOINTS[robot]), plan.name))
    console.print(f"{headline(found)}\nstart: {start}\npage: {page}", markup=False, soft_wrap=True)
    return 0


def _episode(store: Path, number: int) -> Episode:
    if store.suffix in (".mcap", ".db3"):
        raise DataError(f"{store} is a bag; run o2o ingest on it, then replay an episode of the store")
    with EpisodeStore.open(store) as episodes:
        return episodes.read(number)


def _path(recording: Path, flange: SerialArm, twin: Twin, rate_hz: float) -> Plan:
    """A joint path, as poses of the tool that the twin holds."""
    t_s, q_rad = read_path(recording, flange.n_joints)
    arm = with_tool_of(twin, flange, q_rad[0])
    return plan_of_path(recording.stem, t_s, q_rad, arm, rate_hz=rate_hz)


def _twin(robot: str, task: str, clearance_m: float, contacts: bool) -> Twin:
    """A twin without cameras. MuJoCo is loaded here and not before."""
    from o2o_sim.config import PegConfig, TwinConfig
    from o2o_sim.twin import Twin

    config = TwinConfig(robot=robot, task=task, cameras=(), peg=PegConfig(clearance_m=clearance_m), contacts=contacts)
    return Twin(config)


def _table(lines: list[tuple[str, ...]], title: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title=title, title_justify="left")
    for column in ("", "RMS", "largest", "lag", "RMS without the lag"):
        table.add_column(column, justify="left" if not column else "right", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    return table
