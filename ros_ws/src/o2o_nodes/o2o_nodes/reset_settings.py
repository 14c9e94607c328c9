"""reset_node's parameters: the chain of strategies, where an episode starts, how near and how alike is near enough."""

from __future__ import annotations

from pathlib import Path as File

import numpy as np

from o2o_nodes.node import HouseNode
from o2o_robot.errors import ConfigError
from o2o_robot.reset.ask import USUAL, AskPerson
from o2o_robot.reset.chain import Chain
from o2o_robot.reset.follow import Motion
from o2o_robot.reset.learned import Learned, policy_of
from o2o_robot.reset.path import Path, tool_way
from o2o_robot.reset.replay import Replay, recorded_way
from o2o_robot.reset.start import Start, Tolerances
from o2o_robot.reset.strategy import Strategy, moves, words_of
from o2o_robot.reset.unstick import Unstick
from o2o_robot.reset.views import Views
from o2o_robot.reset.waypath import Pace
from o2o_robot.robot.action_space import has_gripper
from o2o_robot.robot.kinematics import SerialArm, fr3, ur5e
from o2o_robot.types import ArmState, Array

KINEMATICS = {"fr3": fr3, "ur5e": ur5e}
VIEWS = "reset_views.npz"


class ResetSettings:
    """Read at configure, where wrong ones fail; `chain` is made at the first reset, when the arm is known.

    settings = ResetSettings(node)
    chain = settings.chain(state)
    """

    def __init__(self, node: HouseNode) -> None:
        self._node = node
        setting = node.setting
        self.words = words_of(setting("chain", "ask", "strategies in order: path, unstick, replay, learned, ask"))
        self._tries = setting("tries", 2, "how often each strategy that moves the arm is tried")
        self._asks = setting("asks", 3, "how often a person is asked")
        self._ask_for = setting("ask_for", USUAL, "what a person is asked to do")
        self._joints = setting("joints", [f"fr3_joint{i}" for i in range(1, 8)], "joint names, in the order of angles")
        self._via_m = setting("path.via_m", [], "x, y, z, x, y, z, ...: the tool's way home after it has risen")
        self._via_rad = setting("path.via_rad", [], "the same as joint angles, one pose after the other")
        self._travel_z_m = setting("path.travel_z_m", 0.25, "height of the tool at which it goes across")
        self._kinematics = setting("kinematics", "", f"whose joints, for angles: {', '.join(KINEMATICS)}")
        self._start_rad = setting("start.joints_rad", [], "joint angles at a start, verified; without a position, home")
        self._start_m = setting("start.position_m", [], "the tool's home, x, y, z in the base frame; empty: any")
        self.motion, self.tolerances = self._motion(), self._tolerances()
        self.start()  # wrong numbers fail now
        self._replayed = self._replay_way() if "replay" in self.words else None
        self._policy = policy_of(self._checkpoint()) if "learned" in self.words else None
        self.views_file = self._views_file()
        self.views = self._views()

    def chain(self, state: ArmState) -> Chain:
        """The chain for this arm. Raises ConfigError for joint angles that are none of its, or a start to go to that
        was not given."""
        start = self.start(state)
        made: list[Strategy] = [self._strategy(word, np.array(start.position_m), state) for word in self.words]
        return Chain(
            made, start, self.views, self.tolerances, self.motion, self._tries, self._asks, joints=self._joints
        )

    def start(self, state: ArmState | None = None) -> Start:
        """Home; from its joint angles, once the arm is known, where only those were given."""
        setting, position_m = self._node.setting, tuple(self._start_m)
        if moves(self.words) and not (position_m or self._start_rad):
            raise ConfigError(
                f"{self._node.get_name()}: {self.words[0]} has nowhere to go; set start.position_m or start.joints_rad"
            )
        if state is not None and not position_m and self._start_rad:
            position_m = tuple(tool_way(self._arm(), self._start_rad, state)[0])
        opening_m = setting("start.gripper_m", -1.0, "the gripper's opening at a start, verified; -1: any")
        spread_m = setting("start.spread_m", [], "half-width of the box around home in which starts are drawn")
        has_place = bool(position_m) or state is not None
        gripper_m = opening_m if opening_m >= 0 else None
        return Start(position_m, tuple(self._start_rad), gripper_m, tuple(spread_m) if has_place else ())

    def _strategy(self, word: str, home_m: Array, state: ArmState) -> Strategy:
        if word == "ask":
            return AskPerson(self._ask_for)
        if word == "replay" and self._replayed is not None:
            return Replay(self._replayed, home_m, self.motion)
        if word == "learned" and self._policy is not None:
            steps = self._node.setting("learned.max_steps", 100, "actions of the policy before it is given up")
            return Learned(self._policy, home_m, self.motion, max_steps=steps)
        path = Path(home_m, self.motion, self._travel_z_m, self._via(state))
        return Unstick(path, self.motion) if word == "unstick" else path

    def _via(self, state: ArmState) -> tuple[Array, ...]:
        if len(self._via_m) % 3:
            raise ConfigError(f"path.via_m has {len(self._via_m)} numbers; give x, y, z of each point")
        points = tuple(np.reshape(np.array(self._via_m, np.float64), (-1, 3)))
        return (*points, *(tool_way(self._arm(), self._via_rad, state) if self._via_rad else ()))

    def _arm(self) -> SerialArm:
        if self._kinematics not in KINEMATICS:
            raise ConfigError(f"joint angles need kinematics: one of {', '.join(KINEMATICS)}, got '{self._kinematics}'")
        return KINEMATICS[self._kinematics]()

    def _motion(self) -> Motion:
        setting = self._node.setting
        space = setting("action_space", "delta_position", "as arm_node's: see robot/action_space.py")
        hz = setting("control_hz", 10.0, "actions a second")
        pace = Pace(
            speed_m_s=setting("speed_m_s", 0.05, "of the tool on its way"),
            build_up_s=setting("build_up_s", 0.4, "speed is built up over this, and acceleration too"),
            period_s=1.0 / hz,
        )
        scale_m = setting("action_scale_m", 0.025, "metres of tool motion for an action of 1, as arm_node's")
        opens = setting("opens_gripper", True, "where actions have a gripper: open it on the way")
        grip = (1.0 if opens else 0.0) if has_gripper(space) else None
        return Motion(scale_m=scale_m, grip=grip, pace=pace, patience=round(2.0 * hz))

    def _tolerances(self) -> Tolerances:
        setting, usual = self._node.setting, Tolerances()
        return Tolerances(
            position_m=setting("tolerance.position_m", usual.position_m, "of the tool's place at a start"),
            joints_rad=setting("tolerance.joints_rad", usual.joints_rad, "of each joint's angle"),
            gripper_m=setting("tolerance.gripper_m", usual.gripper_m, "of the gripper's opening"),
            speed_rad_s=setting("tolerance.speed_rad_s", usual.speed_rad_s, "of an arm that stands"),
        )

    def _replay_way(self) -> Array:
        setting = self._node.setting
        store = setting("replay.store", "", "episode store with the recorded way")
        if not store:
            raise ConfigError(f"{self._node.get_name()}: replay has nothing to replay; set replay.store")
        episode = setting("replay.episode", "", "id of the episode; empty: the first that succeeded")
        backward = setting("replay.backward", True, "an episode backward; false: a recorded reset, as it was")
        return recorded_way(store, episode, backward=backward)

    def _checkpoint(self) -> str:
        checkpoint = self._node.setting("learned.checkpoint", "", "folder of the resetting policy's checkpoint")
        if not checkpoint:
            raise ConfigError(f"{self._node.get_name()}: learned has no policy; set learned.checkpoint")
        return checkpoint

    def _views_file(self) -> File | None:
        file = self._node.setting("views", "", f"pictures of good resets (.npz); empty: RUN/{VIEWS}")
        run_dir = self._node.run_dir
        return File(file) if file else run_dir / VIEWS if run_dir is not None else None

    def _views(self) -> Views:
        wanted = self._node.setting("learn_views", 5, "good resets from which views are learned; 0: not compared")
        if wanted and self.views_file is not None:
            return Views.load(self.views_file, wanted)
        return Views(wanted)
