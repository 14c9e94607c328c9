"""A cell in this process: the twin behind its guard, a reset's orders carried out in lockstep, a person who can act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from o2o_robot.reset.chain import Chain, Outcome
from o2o_robot.reset.follow import Motion
from o2o_robot.reset.orders import Ask, Begin, Felt, Look, Move, Order, Place, Rest, Resume
from o2o_robot.reset.waypath import Pace
from o2o_robot.robot.action_space import make_space
from o2o_robot.safety.guard_config import build_guard, twin
from o2o_robot.safety.guarded_arm import GuardedArm
from o2o_robot.types import Action, Array, Source
from o2o_sim.arm import MujocoArm
from o2o_sim.config import TwinConfig
from o2o_sim.twin import Twin

HOME_M = (0.50, 0.0, 0.21)
MOTION = Motion(pace=Pace(speed_m_s=0.12))


class Cell:
    """cell.carried_out(chain, seed=3): the Outcome; cell.orders and cell.q_rad: what was asked, and every joint state.

    lost: cameras that show nothing. person: what is done when somebody is asked, whose words `asked` keeps. hands: what
    a person's device says before the n-th Move, empty or not there: nothing.
    """

    def __init__(self, config: TwinConfig, *, person: Callable[[str], None] = lambda words: None) -> None:
        self.twin, self.person = Twin(config), person
        self.space = make_space(
            "delta_position_gripper" if self.twin.has_gripper else "delta_position", scale_m=0.025, open_m=0.08
        )
        guard = build_guard(replace(twin(), lockstep=True, n_values=self.space.n_action))
        self.arm = GuardedArm(MujocoArm(self.twin), guard, grip=self.twin.grip if self.twin.has_gripper else None)
        self.arm.engage()
        self.lost: set[str] = set()
        self.asked: list[str] = []
        self.hands: dict[int, Array] = {}
        self.moved_by_hand = self._n_moves = 0
        self.orders: list[Order] = []
        self.q_rad: list[Array] = [self.arm.read().q_rad]
        self._seq = 0

    def step(self, values: Array, source: Source = Source.SCRIPTED) -> Felt:
        state = self.arm.read()
        self._seq += 1
        action = Action(state.stamp_ns, self._seq, np.asarray(values, np.float32), source)
        executed = self.arm.execute(action, self.space, state.stamp_ns, 0.0)
        self.twin.advance(0.1)
        self.q_rad.append(self.arm.read().q_rad)
        return Felt(self.arm.read(), executed, self.images())

    def drive(self, to_m: Array, steps: int = 40) -> None:
        """As a policy would, straight to a place, whatever stands in the way."""
        for _ in range(steps):
            values = (np.asarray(to_m) - self.arm.read().tool.position_m) / 0.025
            grip = [0.0] * (self.space.n_action - 3)
            self.step(np.array([*np.clip(values, -1, 1), *grip]), Source.POLICY)

    def carried_out(self, chain: Chain, seed: int = 0) -> Outcome:
        self.arm.guard.end_episode()
        talk = chain.reset(seed, Felt(self.arm.read(), None, self.images()))
        try:
            order = next(talk)
            while True:
                order = talk.send(self._do(order))
        except StopIteration as end:
            return end.value

    def images(self) -> Mapping[str, Array]:
        return {name: image for name, image in self.twin.images().items() if name not in self.lost}

    def _do(self, order: Order) -> Felt:
        self.orders.append(order)
        if isinstance(order, Move):
            return self._moved(order)
        if isinstance(order, Resume) or (isinstance(order, Begin) and order.moves):
            self.arm.guard.start_episode()
        if isinstance(order, Rest):
            self.arm.guard.end_episode()
        if isinstance(order, Place):
            self.twin.place_scene(order.seed)
        if isinstance(order, Ask):
            self.asked.append(order.words)
            self.person(order.words)
        lost = f"camera {', '.join(sorted(self.lost))} is silent" if self.lost and isinstance(order, Look) else ""
        return Felt(self.arm.read(), None, self.images(), lost)

    def _moved(self, order: Move) -> Felt:
        self._n_moves += 1
        self._hear_hand(self.hands.get(self._n_moves, np.zeros(0, np.float32)))
        felt = self.step(order.values)
        self.moved_by_hand += felt.executed is not None and felt.executed.source is Source.TELEOP
        return felt

    def _hear_hand(self, values: Array) -> None:
        if self.hands:
            ns = self.arm.read().stamp_ns
            self.arm.guard.hear_teleop(Action(ns, self._n_moves, values, Source.TELEOP), ns, 0.0)
