"""A person's hand beside a policy: says what it asks for on `teleop_action`, and once that it has let go.

In real time it speaks at its own rate while the hand holds on. In lockstep it answers every observation exactly once,
a hand that holds on or not: arm_node (`awaits_teleop`) lets the policy's proposal wait for that answer, so a motion of
the hand belongs to the observation it was made at, and a run is the same again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from o2o_msgs import msg as m

from o2o_nodes import convert, qos
from o2o_nodes.arm_look import ArmLook
from o2o_nodes.node import HouseNode
from o2o_robot.teleop.device import Device, Moment, Reading
from o2o_robot.teleop.hand import RELEASED, Hand, Operator
from o2o_robot.types import Action, Source


class HandOut:
    """hands.start(); hands.stop() lets go. takeovers, steps_held: since the node was opened."""

    def __init__(
        self,
        node: HouseNode,
        device: Device,
        operator: Operator,
        done: Callable[[tuple[str, ...]], None],
        *,
        judge: str,
    ) -> None:
        """done: told of the deeds (hand.DEEDS) that were pressed. judge: see ArmLook."""
        self._node, self._device, self._operator, self._done = node, device, operator, done
        self._rate_hz = node.setting("rate_hz", 30.0, "how often the device is read in real time")
        self._out = node.create_publisher(m.Action, "teleop_action", qos.COMMAND)
        # before the arm's: of two that are there, the start of an episode is read first
        node.create_subscription(m.EpisodeEvent, "episode", self._on_event, qos.RECORD)
        answer, again = (self._answer, self._answer_again) if node.lockstep else (lambda: None, lambda: None)
        self._look = ArmLook(node, judge=judge, seen=answer, again=again)
        self._seq = self.takeovers = self.steps_held = 0
        self._hand = Hand(RELEASED)
        self._episode_from_ns: int | None = None

    @property
    def is_held(self) -> bool:
        return self._hand.is_held

    def start(self) -> None:
        if not self._node.lockstep:
            self._node.create_beat("hand", 1.0 / self._rate_hz, self._speak)

    def stop(self) -> None:
        """The last word: released."""
        if self.is_held:
            self._say(Hand(RELEASED), self._stamp_ns(None))

    def _on_event(self, message: m.EpisodeEvent) -> None:
        is_start = message.kind == m.EpisodeEvent.START
        self._episode_from_ns = convert.stamp_ns(message.header.stamp) if is_start else None
        if is_start:
            self._device.begin(message.seed)

    def _speak(self) -> None:
        """Real time: a motion each time while it is held, and one release after it."""
        reading, hand = self._see()
        if hand.is_held or self.is_held:
            self._say(hand, self._stamp_ns(reading if hand.is_held else None))

    def _answer(self) -> None:
        """Lockstep: one word on each observation. An episode's first one is nobody's: its START comes after it."""
        began_ns = self._episode_from_ns
        within = began_ns is not None and self._look.stamp_ns > began_ns
        self._say(self._see()[1] if within else Hand(RELEASED), self._look.stamp_ns)

    def _answer_again(self) -> None:
        self._publish(self._hand, self._look.stamp_ns)

    def _see(self) -> tuple[Reading | None, Hand]:
        look = self._look
        moment = Moment(time.monotonic(), look.stamp_ns, look.arm, look.task)
        reading = self._device.read(moment)
        hand = self._operator.see(reading, moment)
        self._done(hand.deeds)
        return reading, hand

    def _stamp_ns(self, reading: Reading | None) -> int:
        """When the device spoke, by the clock of the messages."""
        age_s = max(0.0, time.monotonic() - reading.stamp_s) if reading is not None else 0.0
        return max(0, self._node.now_ns() - round(age_s * 1e9))

    def _say(self, hand: Hand, stamp_ns: int) -> None:
        self.takeovers += hand.is_held and not self.is_held
        self.steps_held += hand.is_held
        self._hand = hand
        self._publish(hand, stamp_ns)

    def _publish(self, hand: Hand, stamp_ns: int) -> None:
        self._seq += 1
        action = Action(stamp_ns, self._seq, np.asarray(hand.values), Source.TELEOP)
        self._out.publish(convert.action_message(action, "base"))
