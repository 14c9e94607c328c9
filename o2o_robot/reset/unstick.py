"""Loose from whatever holds the tool: lift, back off along the force, wiggle; then home by the usual way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from o2o_robot.reset.follow import Motion, follow, proceed
from o2o_robot.reset.orders import Ended, Felt, Talk
from o2o_robot.reset.strategy import Strategy
from o2o_robot.types import Array

UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Unstick:
    """Each move until the tool is free_m above where it stuck; then `onward`.

    lift_m: how high it is pulled. back_m: how far it backs off along a force of min_force_n at least (what the world
    puts on the tool points away from the contact). wiggle_m: the circle's greatest radius, drawn outward in rings while
    it pulls up.
    """

    onward: Strategy
    motion: Motion = field(default_factory=Motion)
    lift_m: float = 0.05
    back_m: float = 0.02
    min_force_n: float = 2.0
    wiggle_m: float = 0.006
    rings: int = 3
    turns: int = 8
    free_m: float = 0.03
    name: str = "unstick"

    def run(self, felt: Felt) -> Talk:
        stuck_m = felt.state.tool.position_m
        for move in (self._lift, self._back_off, self._wiggle):
            _, felt = yield from move(felt)
            if self._is_free(felt, stuck_m):
                return (yield from self.onward.run(felt))
        risen_m = felt.state.tool.position_m[2] - stuck_m[2]
        return Ended(f"it did not come free: {risen_m * 1e3:.0f} mm up of {self.free_m * 1e3:.0f}", felt)

    def _is_free(self, felt: Felt, stuck_m: Array) -> bool:
        return bool(felt.state.tool.position_m[2] - stuck_m[2] >= self.free_m)

    def _lift(self, felt: Felt) -> Talk:
        return (yield from self._go(felt, self.lift_m * UP))

    def _back_off(self, felt: Felt) -> Talk:
        """Along the force, then up; without a sensor, or a push, up again is all."""
        wrench = felt.state.wrench
        force_n = np.zeros(3) if wrench is None else wrench[:3]
        size_n = float(np.linalg.norm(force_n))
        if size_n >= self.min_force_n:
            _, felt = yield from self._go(felt, self.back_m * force_n / size_n)
        return (yield from self._lift(felt))

    def _wiggle(self, felt: Felt) -> Talk:
        """Open loop: what holds the tool must not stop the circle."""
        stuck_m, refused = felt.state.tool.position_m, 0
        for offset in self._circles_m():
            move = self.motion.toward(stuck_m + offset, felt.state)
            felt, refused = yield from proceed(move, refused, self.motion)
            if self._is_free(felt, stuck_m):
                break
        return (yield from self._lift(felt))

    def _circles_m(self) -> Iterator[Array]:
        """Offsets from where it sticks, up and round, (3,) m each."""
        for k in range(self.rings * self.turns):
            angle = 2.0 * np.pi * k / self.turns
            radius_m = self.wiggle_m * (1 + k // self.turns) / self.rings
            yield self.lift_m * UP + radius_m * np.array([np.cos(angle), np.sin(angle), 0.0])

    def _go(self, felt: Felt, by_m: Array) -> Talk:
        here = felt.state.tool.position_m
        return (yield from follow(self.motion.pace.reference([here, here + by_m]), felt, self.motion))
