"""A console without a robot: a class that takes every command as a robot would, and a board as in a run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np

from o2o_robot.console.board import Board
from o2o_robot.console.commands import COMMANDS, N_AXES, Answer
from o2o_robot.console.console import Console
from o2o_robot.console.control import Control
from o2o_robot.console.frames import Eyes
from o2o_robot.console.guard_story import GuardStory
from o2o_robot.console.history import story
from o2o_robot.console.streams import Nodes
from o2o_robot.safety.reason import NONE, Reason

TOKEN = "right-token"


class FakeRobot:
    """Commands that are kept, checked, and answered at once unless `silent`."""

    def __init__(self) -> None:
        self.pressed: list[tuple[str, str, str]] = []  # command, by, episode
        self.joys: list[tuple[tuple[float, ...], tuple[int, ...]]] = []
        self.order: list[str] = []  # of the two above: "press hold", "joy", "let go"
        self.stops = 0
        self.silent = False
        self.refuses: dict[str, str] = {}

    def estop(self) -> None:
        self.stops += 1

    def press(self, command: str, *, by: str, episode: str = "") -> Future[Answer]:
        assert command in COMMANDS
        assert command != "estop"  # it has its own, shorter way
        self.pressed.append((command, by, episode))
        self.order.append(f"press {command}")
        answer: Future[Answer] = Future()
        if not self.silent:
            why = self.refuses.get(command, "")
            answer.set_result(Answer(not why, why or f"{command} done"))
        return answer

    def joy(self, axes: Sequence[float], buttons: Sequence[int]) -> None:
        assert len(axes) in (0, N_AXES)
        assert all(math.isfinite(v) and abs(v) <= 1 for v in axes)
        self.joys.append((tuple(axes), tuple(buttons)))
        self.order.append("joy" if len(axes) else "let go")


def a_console(clock: Callable[[], float] = time.monotonic, cameras: Sequence[str] = ("wrist", "front")) -> Console:
    """Its pictures are (H, W, 3) arrays as they are."""
    return Console(Board(clock), Eyes(cameras, lambda pixels: pixels), FakeRobot(), Control(clock), clock)


def ended(i: int, *, mode: str = "online", is_success: bool, **more: object) -> dict[str, object]:
    line = {"id": f"{mode}-{i:06d}", "mode": mode, "outcome": "success" if is_success else "failure", "n_steps": 20}
    return {**line, "termination": "task", "reward_sum": float(is_success), **more}


def a_picture(side_px: int = 64, phase: float = 0.0) -> np.ndarray:
    y, x = np.mgrid[0:side_px, 0:side_px] / side_px
    red = 90 + 120 * np.exp(-((x - 0.5 - 0.3 * math.cos(phase)) ** 2 + (y - 0.5 - 0.3 * math.sin(phase)) ** 2) * 40)
    return np.stack([red, 110 + 60 * y, 130 + 80 * x], axis=-1).astype(np.uint8)


def a_run(console: Console, *, state: str = "RUN", reasons: Reason = NONE, step: int = 17) -> None:
    """What a fine-tuning run tells its console once a second."""
    board, rng = console.board, np.random.default_rng(7)
    lines = [
        ended(i, is_success=bool(rng.random() < 0.35 + 0.6 * i / 70), interventions=max(0, 3 - i // 20), steps_human=4)
        for i in range(70)
    ]
    q = rng.normal(-12, 4, 40)
    promises = [
        {"episode": f"online-{i:06d}", "q": float(v), "ret": float(v + rng.normal(-1, 1.5)), "cut": i % 9 == 0}
        for i, v in enumerate(q)
    ]
    session = {"state": "running", "waits_for": "", "mode": "online", "episode": "online-000070", "step": step}
    session |= {"max_steps": 50, "block": "online steps=1500", "next": "eval episodes=20", "block_episodes": 70}
    session |= {"block_episodes_of": 0, "block_steps": 1214, "block_steps_of": 1500, "successes": 51, "q": -11.4}
    board.put("session", session | {"robot_s": 1384.0, "wall_s": 2210.0})
    guard = GuardStory(console.clock)
    guard.see("RUN", 0, {"tool speed": 31, "workspace": 2})
    told = guard.see(state, int(reasons), {"tool speed": 34, "workspace": 3})
    more = {"command_age_s": 0.04, "state_age_s": 0.01, "commands": 8123, "interventions": 141}
    board.put("guard", {**told, **more})
    board.put("history", {"story": story(lines, "online"), "promises": promises})
    learner = {"phase": "finetune", "steps_received": 1614, "steps_warmup": 400, "updates": 1214, "updates_owed": 3}
    board.put("learner", {**learner, "revision": 1200, "utd": 1.0})
    rates = {"before": (0.42, 0.31, 0.54, 60), "now": (0.75, 0.53, 0.89, 20)}
    names = ("success", "success_low", "success_high", "episodes")
    policy = {
        (f"success_{end}{name[7:]}" if name != "episodes" else f"episodes_{end}"): value
        for end, values in rates.items()
        for name, value in zip(names, values, strict=True)
    }
    board.put(
        "policy",
        {"revision": 1180, "best_revision": 1100, "verdict": 1, "rollbacks": 0, **policy}
        | {"weights_accepted": 118, "weights_refused": 0, "last_refusal": ""},
    )
    board.put("recorder", {"episodes_stored": 88, "steps_stored": 1714, "episodes_discarded": 2, "last_episode": ""})
    board.put(
        "reward", {"source": "classifier", "probability": 0.08, "success": False, "failure": False, "trouble": ""}
    )
    board.put("cameras", {"names": list(console.eyes.cameras)})
    board.put("services", {"blocked": {"reset_done": "nobody resets by hand here: reset_node does not run"}})
    nodes = Nodes(console.clock)
    heard = {"joint_states hz": "100.2", "joint_states age_s": "0.006", "current_pose hz": "100.1"}
    nodes.hear(
        "arm_node", 0, "working", heard | {"current_pose age_s": "0.006", "action hz": "9.9", "action age_s": "0.05"}
    )
    seen = {"wrist/color/image_raw hz": "29.9", "wrist/color/image_raw age_s": "0.021"}
    nodes.hear(
        "policy_node", 0, "working", seen | {"front/color/image_raw hz": "30.0", "front/color/image_raw age_s": "0.02"}
    )
    nodes.hear("learner_node", 0, "working", {"step hz": "9.8", "step age_s": "0.08"})
    nodes.hear(
        "recorder_node", 1, "1.62 GB of disk left; free some, or the run ends when an episode cannot be kept", {}
    )
    board.put("nodes", nodes.facts())
