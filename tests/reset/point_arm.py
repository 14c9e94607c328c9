"""An arm that is one point, for talks: it goes where it is told, unless something holds it, the guard or a person."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import numpy as np

from o2o_robot.reset.orders import Ask, Begin, Felt, Look, Move, Order
from o2o_robot.safety.reason import Reason
from o2o_robot.types import ArmState, Array, Executed, Pose, Source

DOWN = np.array([1.0, 0.0, 0.0, 0.0])
SCALE_M = 0.025


@dataclass
class PointArm:
    """felt = arm.carried_out(talk): what the talk gives back.

    holds(at_m, to_m): where it really gets to. reasons(order number): what the guard says to a Move. person: what is
    done when somebody is asked. force_n: on the tool.
    """

    at_m: Array = field(default_factory=lambda: np.array([0.5, 0.1, 0.1]))
    holds: Callable[[Array, Array], Array] = lambda at_m, to_m: to_m
    reasons: Callable[[int], Reason] = lambda n: Reason(0)
    source: Callable[[int], Source] = lambda n: Source.SCRIPTED
    person: Callable[[str], None] = lambda words: None
    force_n: Array | None = None
    gripper_m: float = 0.0
    q_rad: Array = field(default_factory=lambda: np.zeros(7))
    images: dict[str, Array] = field(default_factory=dict)
    trouble: str = ""
    fails: type = Look
    orders: list[Order] = field(default_factory=list)
    path_m: list[Array] = field(default_factory=list)

    @property
    def state(self) -> ArmState:
        wrench = None if self.force_n is None else np.concatenate([self.force_n, np.zeros(3)])
        return ArmState(1, self.q_rad, np.zeros(7), Pose(self.at_m, DOWN), self.gripper_m, wrench)

    @property
    def felt(self) -> Felt:
        return Felt(self.state, None, self.images)

    @property
    def stages(self) -> list[str]:
        return [order.strategy for order in self.orders if isinstance(order, Begin)]

    def n(self, kind: type) -> int:
        return sum(isinstance(order, kind) for order in self.orders)

    def carried_out(self, talk: Generator) -> object:
        try:
            order = next(talk)
            while True:
                assert len(self.orders) < 5000, "a talk without an end"
                order = talk.send(self._do(order))
        except StopIteration as end:
            return end.value

    def _do(self, order: Order) -> Felt:
        self.orders.append(order)
        executed = None
        if isinstance(order, Move):
            executed = self._moved(order, self.n(Move))
        if isinstance(order, Ask):
            self.person(order.words)
        trouble = self.trouble if isinstance(order, self.fails) else ""
        return Felt(self.state, executed, self.images, trouble)

    def _moved(self, order: Move, n: int) -> Executed:
        reasons, source = self.reasons(n), self.source(n)
        if not reasons & Reason.HOLD and source is Source.SCRIPTED:
            self.at_m = self.holds(self.at_m, self.at_m + SCALE_M * order.values[:3].astype(np.float64))
        self.path_m.append(self.at_m)
        return Executed(1, n, order.values, order.values, int(reasons), source)
