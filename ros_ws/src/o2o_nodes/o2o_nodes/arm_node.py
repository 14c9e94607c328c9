"""The one guarded door to the motors: every action is judged here, and only this process publishes motion.

In real time a tick watches for silence and holds; where the guard shapes motion it is the ticks that move the arm, and
an action only says where to. In lockstep nothing moves between two actions, so each action
is judged when the state it answers is there.
"""

from __future__ import annotations

import time
from typing import Any

from o2o_msgs import msg as m
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from o2o_nodes import convert, qos
from o2o_nodes.arm_topics import read_topics
from o2o_nodes.node import STEADY, HouseNode, run
from o2o_nodes.ros_arm import RosArm
from o2o_robot.config import as_mapping, build
from o2o_robot.errors import ArmError, ConfigError
from o2o_robot.robot.action import DeltaPosition
from o2o_robot.robot.inverse import InverseKinematics
from o2o_robot.safety.guard_config import PRESETS, GuardConfig, build_guard
from o2o_robot.safety.guarded_arm import GuardedArm
from o2o_robot.safety.limits_table import FACTS
from o2o_robot.safety.permits import Peer, RobotMode
from o2o_robot.safety.profiles import PROFILES, profiled
from o2o_robot.safety.reason import Reason
from o2o_robot.types import Action

OVERSLEPT_TICKS = 5  # a watch this late was not run: the machine is loaded, and the last state it holds is old news


class ArmNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("arm_node")

    def open(self) -> None:
        joints = self.setting("joints", [f"fr3_joint{i}" for i in range(1, 8)], "joint names, in the guard's order")
        self._tick_hz = self.setting("tick_hz", 100.0, "rate of the watch in real time")
        self._arms_itself = self.setting("auto_arm", False, "arm the guard without an operator; for the twin only")
        self._space = DeltaPosition(
            scale_m=self.setting("action_scale_m", 0.025, "metres of tool motion for an action of 1")
        )
        config = self._guard_config()
        self._guard = build_guard(config)
        self._check_tick_rate(config)
        self._ros_arm = RosArm(
            self, joints=joints, topics=read_topics(self), inverse=_inverse(config), on_state=self._on_state
        )
        self._arm = GuardedArm(self._ros_arm, self._guard)
        self._pending: Action | None = None
        self._wants_episode = False
        self._last_told: tuple[str, int] | None = None
        self._executed_out = self.create_publisher(m.ExecutedAction, "executed_action", qos.VERDICT_OUT)
        self._safety_out = self.create_publisher(m.SafetyState, "safety_state", qos.LATCHED)
        self.create_subscription(m.Action, "action", self._on_action, qos.COMMAND)
        self.create_subscription(m.EpisodeEvent, "episode", self._on_event, qos.RECORD)
        self._hear_permits(config)
        for name, act in {"arm": self._engage, "hold": self._hold, "estop": self._estop, "reset": self._reset}.items():
            self.create_service(Trigger, f"~/{name}", lambda _, answer, act=act: _answer(answer, act))

    def start(self) -> None:
        self._ticked_s, self._passed_over = time.monotonic(), False
        self.create_timer(1.0, self._tell, clock=STEADY)
        if not self.lockstep:
            self.create_timer(1.0 / self._tick_hz, self._tick, clock=STEADY)

    def stop(self) -> None:
        """The last word to the motors: stay where you are."""
        self._guard.disengage()
        if self._ros_arm.stamp_ns and not self.lockstep:
            self._arm.hold()
        self._tell()

    def summary(self) -> dict[str, Any]:
        seen = self._guard.snapshot()
        counts = dict(zip(seen.reason_names, seen.reason_counts, strict=True))
        return {"commands": seen.commands, "interventions": seen.interventions, "reasons": counts, "state": seen.state}

    def _guard_config(self) -> GuardConfig:
        """The preset of the parameter `limits`, with every field that launch/params/<robot>.yaml sets."""
        name = self.setting("limits", "fr3", f"preset of the guard's limits: {', '.join(PRESETS)}", read_only=True)
        if name not in PRESETS:
            raise ConfigError(f"arm_node: no limits '{name}' (there are {', '.join(PRESETS)})")
        chosen = {"lockstep": self.lockstep}
        for field, value in as_mapping(PRESETS[name]()).items():
            if field not in chosen:
                chosen[field] = self.setting(f"guard.{field}", value, "see GuardConfig", read_only=True)
        profile = self.setting("profile", "", f"phase: {', '.join(PROFILES)}, or '' for none", read_only=True)
        return profiled(build(GuardConfig, chosen, where="arm_node's parameters"), profile)

    def _check_tick_rate(self, config: GuardConfig) -> None:
        """A shaped motion is as fast as its ticks come: at another rate every bound would be another."""
        if self._guard.is_shaped and abs(self._tick_hz * config.tick_period_s - 1.0) > 1e-6:
            raise ConfigError(
                f"arm_node: tick_hz is {self._tick_hz}, guard.tick_period_s {config.tick_period_s}; "
                f"set tick_hz to {1.0 / config.tick_period_s:g}"
            )

    def _hear_permits(self, config: GuardConfig) -> None:
        """The deadman's switch, the robot's own mode and the peers' signs of life, each where it is asked for."""
        permits, listen = self._guard.permits, self.create_subscription
        if config.deadman_s:
            listen(Bool, "deadman", lambda told: permits.hear_deadman(told.data), qos.COMMAND)
        if config.robot_mode_s:
            listen(String, "robot_mode", self._on_robot_mode, qos.COMMAND)
            listen(Bool, "robot_program_running", self._on_program, qos.COMMAND)
        if config.actor_s:
            listen(m.Action, "action", lambda _: permits.hear_peer(Peer.ACTOR), qos.COMMAND)
        if config.recorder_s:
            listen(m.RecorderState, "recorder_state", lambda _: permits.hear_peer(Peer.RECORDER), qos.LATCHED)
        if config.learner_s:
            listen(m.LearnerState, "learner_state", lambda _: permits.hear_peer(Peer.LEARNER), qos.LATCHED)

    # --- what comes in -------------------------------------------------------------------------------------------
    def _on_state(self) -> None:
        idle = self._guard.snapshot().state in ("UNCONFIGURED", "IDLE")
        if self._arms_itself and idle and self._ros_arm.stamp_ns and self._ros_arm.is_heard:
            self._try_to_arm()
        if self.lockstep and self._pending is not None and self._ros_arm.stamp_ns >= self._pending.stamp_ns:
            pending, self._pending = self._pending, None
            self._execute(pending)

    def _on_action(self, message: m.Action) -> None:
        action = convert.action(message)
        if self.lockstep and self._ros_arm.stamp_ns < action.stamp_ns:
            self._pending = action
        else:
            self._execute(action)

    def _on_robot_mode(self, told: String) -> None:
        """`move`, `reflex` or `other`, from a relay of the driver's own state (Franka: robot_mode 2, 4, the rest)."""
        known = {mode.value: mode for mode in RobotMode}
        self._guard.permits.hear_mode(known.get(told.data, RobotMode.OTHER))

    def _on_program(self, told: Bool) -> None:
        """UR: whether its program runs."""
        self._guard.permits.hear_mode(RobotMode.MOVE if told.data else RobotMode.OTHER)

    def _on_event(self, message: m.EpisodeEvent) -> None:
        self._wants_episode = message.kind == m.EpisodeEvent.START
        if not self._wants_episode:
            self._guard.end_episode()

    # --- what goes out -------------------------------------------------------------------------------------------
    def _execute(self, action: Action) -> None:
        if self._wants_episode and not self._guard.start_episode():
            self._wants_episode = False
        try:
            executed = self._arm.execute(action, self._space, self._now_ns(), time.monotonic())
        except ArmError as problem:
            self.get_logger().error(str(problem))
            return
        self._executed_out.publish(convert.executed_message(executed))
        self._tell_if_changed()

    def _tick(self) -> None:
        """Judge the moment; once overslept, first read what came meanwhile (timers come before queues), then judge."""
        now_s = time.monotonic()
        overslept = now_s - self._ticked_s > OVERSLEPT_TICKS / self._tick_hz
        self._ticked_s = now_s
        self._passed_over = overslept and not self._passed_over
        if self._ros_arm.stamp_ns and not self._passed_over:
            self._watch()
            self._tell_if_changed()

    def _watch(self) -> None:
        try:
            self._arm.tick(self._now_ns(), time.monotonic())
        except ArmError as problem:  # a pose that the joints cannot take: the controller keeps the last it was given
            self.get_logger().error(str(problem), throttle_duration_sec=2.0)

    def _now_ns(self) -> int:
        return self._ros_arm.stamp_ns if self.lockstep else self.now_ns()

    def _tell_if_changed(self) -> None:
        seen = self._guard.snapshot()
        if (seen.state, int(seen.reasons)) != self._last_told:
            self._tell()

    def _tell(self) -> None:
        seen = self._guard.snapshot()
        self._last_told = (seen.state, int(seen.reasons))
        message = m.SafetyState(state=seen.state, reasons=int(seen.reasons))
        message.header.stamp = self.get_clock().now().to_msg()
        message.reason_names, message.reason_counts = list(seen.reason_names), list(seen.reason_counts)
        message.command_age_s, message.state_age_s = seen.command_age_s, seen.state_age_s
        message.commands, message.interventions = seen.commands, seen.interventions
        self._safety_out.publish(message)

    # --- what an operator asks for -------------------------------------------------------------------------------
    def _try_to_arm(self) -> None:
        try:
            self._engage()
        except ArmError as problem:
            self.get_logger().error(str(problem), throttle_duration_sec=2.0)

    def _engage(self) -> None:
        if self._guard.is_paused:
            self._guard.resume()
            return
        self._arm.engage(self._now_ns(), time.monotonic())
        self._tell_if_changed()

    def _hold(self) -> None:
        if self._guard.is_shaped:
            self._guard.pause()  # ticks bring it to rest; `arm` lets it go on
            return
        self._guard.disengage()
        self._arm.hold()

    def _estop(self) -> None:
        self._guard.latch(Reason.ESTOP)
        self._arm.hold()

    def _reset(self) -> None:
        self._guard.reset()


def _inverse(config: GuardConfig) -> InverseKinematics:
    """Of the arm that the guard's limits are for, with its tool, within its joint box."""
    facts = FACTS[config.robot, config.joint_box]()
    kinematics = facts.kinematics.with_tool(config.tool_offset_m, config.tool_quat_xyzw)
    return InverseKinematics(kinematics, facts.min_rad, facts.max_rad)


def _answer(answer: Trigger.Response, act: Any) -> Trigger.Response:
    """Do what a service asks; an ArmError is its answer."""
    try:
        act()
        answer.success = True
    except ArmError as problem:
        answer.success, answer.message = False, str(problem)
    return answer


def main() -> None:
    run(ArmNode)
