"""The one guarded door to the motors: every action is judged here, and only this process publishes motion.

In real time a tick watches for silence and holds; where the guard shapes motion it is the ticks that move the arm, and
an action only says where to. In lockstep nothing moves between two actions, so each action
is judged when the state it answers is there.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

from o2o_msgs import msg as m
from std_srvs.srv import Trigger

from o2o_nodes import checks, convert, qos
from o2o_nodes.arm_ears import MotionTopics, hear_estop, hear_permits, read_action
from o2o_nodes.arm_settings import read_budget, read_limits
from o2o_nodes.arm_topics import read_topics, require_gripper_topic
from o2o_nodes.node import STEADY, HouseNode, run
from o2o_nodes.ros_arm import RosArm
from o2o_robot.black_box.stops import why_stopped
from o2o_robot.errors import ArmError, ConfigError
from o2o_robot.robot.action import DeltaPosition
from o2o_robot.robot.action_space import make_space
from o2o_robot.robot.inverse import InverseKinematics
from o2o_robot.safety.budget import Budget
from o2o_robot.safety.errands import Errand, Errands
from o2o_robot.safety.guard_config import GuardConfig, build_guard, phase_rules
from o2o_robot.safety.guard_state import GuardState
from o2o_robot.safety.guarded_arm import GuardedArm
from o2o_robot.safety.limits_table import FACTS
from o2o_robot.safety.lockstep_turn import LockstepTurn
from o2o_robot.safety.permits import Peer
from o2o_robot.safety.profiles import profile_of
from o2o_robot.safety.reason import BLIND, NONE, Reason, names
from o2o_robot.types import Action
from o2o_robot.vitals import Value

OVERSLEPT_TICKS = 5  # a watch this late was not run: the machine is loaded, and the last state it holds is old news
IDLE = (GuardState.UNCONFIGURED, GuardState.IDLE)
LONGEST_STOP_S = 1.0


class ArmNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("arm_node")

    def open(self) -> None:
        joints = self.setting("joints", [f"fr3_joint{i}" for i in range(1, 8)], "joint names, in the guard's order")
        self._tick_hz = self.setting("tick_hz", 100.0, "rate of the watch in real time")
        self._arms_itself = self.setting("auto_arm", False, "arm the guard without an operator; for the twin only")
        self._space = self._action_space()
        config, phases = read_limits(self)
        config = replace(config, n_values=self._space.n_action)
        self._guard = build_guard(config)
        self._phases = {name: phase_rules(limits) for name, limits in phases.items()}
        self._check_tick_rate(config)
        self._budget = Budget(read_budget(self), time.monotonic)
        topics = read_topics(self)
        self._frame_id = topics.frame_id
        self._ros_arm = RosArm(self, joints=joints, topics=topics, inverse=_inverse(config), on_state=self._on_state)
        require_gripper_topic(topics, self._space)
        self._arm = GuardedArm(self._ros_arm, self._guard, grip=self._ros_arm.grip)
        self._motion = MotionTopics(self, topics)
        awaits = self.setting("awaits_teleop", False, "lockstep: wait for the device's word on each observation")
        self._turn = LockstepTurn(awaits_device=awaits and self.lockstep)
        self._wants_episode = self._awaits_person = False
        self._profile = self._told_profile = ""
        self._errands = Errands()
        self._story: list[dict[str, Any]] = []
        self._last_told: tuple[str, int] | None = None
        self._executed_out = self.create_publisher(m.ExecutedAction, "executed_action", qos.VERDICT_OUT)
        self._safety_out = self.create_publisher(m.SafetyState, "safety_state", qos.LATCHED)
        hear_estop(self, self._estop)
        # before actions: of two that are there, the start of an episode is read first
        for errand, topic in ((Errand.EPISODE, "episode"), (Errand.RESET, "reset_event")):
            self.create_subscription(m.EpisodeEvent, topic, partial(self._on_event, errand), qos.RECORD)
        self.create_subscription(m.Action, "action", self._on_action, qos.COMMAND)
        self.create_subscription(m.Action, "teleop_action", self._on_teleop, qos.COMMAND)
        asked = [rules.permit_times for rules in self._phases.values()]
        hear_permits(self, self._guard.permits, [self._guard.permits.times, *asked])
        for name, act in {"arm": self._engage, "hold": self._hold, "estop": self._estop, "reset": self._reset}.items():
            self.create_service(Trigger, f"~/{name}", lambda _, answer, act=act: _answer(answer, act))

    def start(self) -> None:
        self._ticked_s, self._passed_over = time.monotonic(), False
        self.create_timer(1.0, self._look_around, clock=STEADY)
        if not self.lockstep:
            self.create_beat("tick", 1.0 / self._tick_hz, self._tick)

    def stop(self) -> None:
        """The last word to the motors: stay where you are. A shaped motion brakes first, tick by tick."""
        # a pose that is not to be believed is not to be held: the controller keeps the target it was given last
        if self._ros_arm.stamp_ns and not self.lockstep and not self._guard.snapshot().reasons & BLIND:
            self._arm.hold()
        self._guard.disengage()
        self._brake()
        self._tell()

    def summary(self) -> dict[str, Any]:
        seen = self._guard.snapshot()
        counts = dict(zip(seen.reason_names, seen.reason_counts, strict=True))
        done = {"commands": seen.commands, "interventions": seen.interventions, "reasons": counts, "state": seen.state}
        return {**done, "profile": self._profile, "story": self._story}

    def readings(self) -> dict[str, Value]:
        seen = self._guard.snapshot()
        counts = {f"reason {name}": n for name, n in zip(seen.reason_names, seen.reason_counts, strict=True)}
        ages = {"command age_s": round(seen.command_age_s, 3), "state age_s": round(seen.state_age_s, 3)}
        return {"state": seen.state, "commands": seen.commands, "interventions": seen.interventions, **ages, **counts}

    def trouble(self) -> list[str]:
        seen = self._guard.snapshot()
        return why_stopped(seen.state, int(seen.reasons))

    def _action_space(self) -> DeltaPosition:
        """What an action's numbers mean, which also says how many the guard lets pass."""
        name = self.setting("action_space", "delta_position", "see o2o_robot/robot/action_space.py", read_only=True)
        scale_m = self.setting("action_scale_m", 0.025, "metres of tool motion for an action of 1")
        open_m = self.setting("gripper_open_m", 0.08, "how far an action opens the gripper", read_only=True)
        return make_space(name, scale_m=scale_m, open_m=open_m)

    def _check_tick_rate(self, config: GuardConfig) -> None:
        """A shaped motion is as fast as its ticks come: at another rate every bound would be another."""
        if self._guard.is_shaped and abs(self._tick_hz * config.tick_period_s - 1.0) > 1e-6:
            raise ConfigError(
                f"arm_node: tick_hz is {self._tick_hz}, guard.tick_period_s {config.tick_period_s}; "
                f"set tick_hz to {1.0 / config.tick_period_s:g}"
            )

    # --- what comes in -------------------------------------------------------------------------------------------
    def _on_state(self) -> None:
        wants_arming = self._arms_itself and not self._awaits_person and self._guard.state in IDLE
        if wants_arming and self._ros_arm.stamp_ns and self._ros_arm.is_heard:
            self._try_to_arm()
        if self.lockstep:
            self._take_turn()

    def _on_action(self, message: m.Action) -> None:
        self._guard.permits.hear_peer(Peer.ACTOR)
        action, unfit = read_action(message, self._frame_id)
        unfit |= self._errands.unfit(action.source)
        if self.lockstep and not unfit:
            self._turn.propose(action)
            self._take_turn()
        else:
            self._execute(action, unfit)

    def _on_teleop(self, message: m.Action) -> None:
        """A person's device beside the policy: what it says is executed in place of the policy's next proposal.

        Where it is awaited it says something of every observation, `released` too (no values).
        """
        action, unfit = read_action(message, self._frame_id)
        if self._turn.awaits_device:
            self._turn.tell(action, unfit)
            self._take_turn()
        else:
            self._hear_device(action, unfit)

    def _take_turn(self) -> None:
        """Judge in lockstep what is due, the device's word before the proposal that it may take the place of."""
        for word, unfit in self._turn.words(self._ros_arm.stamp_ns):
            self._hear_device(word, unfit)
        if (action := self._turn.proposal(self._ros_arm.stamp_ns)) is not None:
            self._execute(action)

    def _hear_device(self, action: Action, unfit: Reason) -> None:
        if reason := self._guard.hear_teleop(action, self._now_ns(), time.monotonic(), unfit):
            self.get_logger().error(f"teleop_action refused: {', '.join(names(reason))}", throttle_duration_sec=2.0)

    def _on_event(self, errand: Errand, message: m.EpisodeEvent) -> None:
        """An episode or a reset begins or ends: to the guard they are the same, the limits are their mode's."""
        checks.event(message)
        if not self._errands.hear(errand, starts=message.kind == m.EpisodeEvent.START):
            return
        self._wants_episode = message.kind == m.EpisodeEvent.START
        if not self._wants_episode:
            self._guard.end_episode()
            return
        self._budget.start_episode()
        if self._phases:
            self._enter(profile_of(message.mode), message.id)

    def _enter(self, profile: str, episode: str) -> None:
        """The limits of this phase, from the moment at which the arm stands; until then it follows nothing."""
        if profile == self._profile:
            return
        self._profile = profile
        stands = self._guard.adopt(self._phases[profile])
        if self._errands.is_a_reset or profile == self._told_profile:
            return  # between two episodes of one phase there is nothing to tell
        self._told_profile = profile
        self._note(f"limits of profile {profile} from {episode} on" + ("" if stands else ", once the arm stands"))

    # --- what goes out -------------------------------------------------------------------------------------------
    def _execute(self, action: Action, unfit: Reason = NONE) -> None:
        if self._wants_episode and not self._guard.start_episode():
            self._wants_episode = False
        try:
            executed = self._arm.execute(action, self._space, self._now_ns(), time.monotonic(), unfit)
        except ArmError as problem:
            self.get_logger().error(str(problem))
            return
        self._executed_out.publish(convert.executed_message(executed))
        self._budget.note(executed.reasons)
        self._pause_if_spent()
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
            self._budget.note_tick(self._arm.tick(self._now_ns(), time.monotonic()).reasons)
        except ArmError as problem:  # a pose that the joints cannot take: the controller keeps the last it was given
            self.get_logger().error(str(problem), throttle_duration_sec=2.0)
        self._pause_if_spent()

    def _brake(self) -> None:
        """Ticks of our own to the end of the stop: nobody spins this node any more."""
        due_s = time.monotonic()
        for _ in range(round(LONGEST_STOP_S * self._tick_hz)):
            if self._guard.is_at_rest:
                return
            self._arm.coast()
            due_s += 1.0 / self._tick_hz
            time.sleep(max(0.0, due_s - time.monotonic()))

    def _look_around(self) -> None:
        """Once a second: who else speaks where only we may, and a sign of life."""
        if self._guard.state not in (*IDLE, GuardState.LATCHED) and (others := self._motion.intruders()):
            self._guard.latch(Reason.ESTOP | Reason.INTRUDER)
            self._arm.hold()
            self._note(f"{', '.join(others)} would move the arm too; stop it, then reset and arm")
        self._tell()

    def _pause_if_spent(self) -> None:
        """Too much had to be changed: brake and disarm, until a person arms."""
        if not self._budget.why_paused or self._awaits_person:
            return
        self._awaits_person = True
        if not self.lockstep:
            self._arm.hold()
        self._guard.disengage(Reason.BUDGET)
        self._note(self._budget.why_paused)

    def _note(self, what: str) -> None:
        """Into the log and the run's summary, which a later reader has."""
        self._story.append({"stamp_ns": self._now_ns(), "what": what})
        self.get_logger().warning(what)

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
            if self._guard.state not in IDLE:
                return
        if others := self._motion.intruders():
            raise ArmError(f"not armed: {', '.join(others)} would move the arm too; stop it, then arm again")
        self._arm.engage(self._now_ns(), time.monotonic())
        if self._awaits_person:
            self._note("armed again by a person")
        self._awaits_person = False
        self._budget.forgive()
        self._tell_if_changed()

    def _hold(self) -> None:
        """The arm comes to rest and follows nothing, until `arm`."""
        if self._guard.is_shaped:
            self._guard.pause()
            return
        # a pose that is not to be believed is not to be held: the controller keeps the target it was given last
        if self._ros_arm.stamp_ns and not self.lockstep and not self._guard.snapshot().reasons & BLIND:
            self._arm.hold()
        self._guard.disengage()

    def _estop(self) -> None:
        if self._guard.state is GuardState.LATCHED:
            return
        self._guard.latch(Reason.ESTOP)
        if self._ros_arm.stamp_ns:
            self._arm.hold()
        self._tell()

    def _reset(self) -> None:
        self._guard.reset()
        self._tell_if_changed()


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
