"""What the session knows of the learner: whether it has kept up, whether it is away, and what is done meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from o2o_msgs import msg as m

from o2o_nodes import qos
from o2o_nodes.node import STEADY, HouseNode
from o2o_robot.errors import ConfigError
from o2o_robot.types import Mode

AWAY_S = 3.0  # it speaks once a second
TRAINING = (Mode.WARMUP, Mode.ONLINE)


class LearnerWatch:
    """watch = LearnerWatch(node, received=..., weights_heard=...); if not await watch.kept_up(Mode.ONLINE): ...

    received: how many transitions the learner has received once it has all. weights_heard: whether any of its weights
    came.
    """

    def __init__(self, node: HouseNode, *, received: Callable[[], int], weights_heard: Callable[[], bool]) -> None:
        self._node, self._received, self._weights_heard = node, received, weights_heard
        self._max_owed = node.setting(
            "max_updates_owed", -1, "online, wait until the learner owes at most this; -1: never"
        )
        self._patience_s = node.setting(
            "learner_patience_s", 120.0, "wall time to wait for a learner that comes no further"
        )
        self._meanwhile = node.setting("while_learner_is_away", "wait", "wait, or go_on with the weights that act")
        if self._meanwhile not in ("wait", "go_on"):
            raise ConfigError(f"while_learner_is_away is '{self._meanwhile}', it must be wait or go_on")
        self.state: m.LearnerState | None = None
        self._heard_ns = STEADY.now().nanoseconds
        self._is_first = True
        node.create_subscription(m.LearnerState, "learner_state", self._on_state, qos.LATCHED)

    @property
    def is_away(self) -> bool:
        """Whether the learner has fallen silent."""
        return STEADY.now().nanoseconds - self._heard_ns > AWAY_S * 1e9

    def is_warm(self, mode: Mode) -> bool:
        """Whether the learner ended the warm-up, by count or by its criterion."""
        return mode is Mode.WARMUP and self.state is not None and self.state.phase not in ("", "warmup")

    async def kept_up(self, mode: Mode, *, at_the_end: bool = False) -> bool:
        """Before a training episode and after the last: wait for the learner; False where it never comes.

        With max_updates_owed its updates are done then: so the ratio holds. Before the first episode of a run that is
        taken up again its weights are enough: what it owed when it died it may do meanwhile.
        """
        if mode not in TRAINING:
            return True
        is_first, self._is_first = self._is_first, False
        if is_first and not at_the_end and self._received():
            return await self._wait(self._has_told_its_weights)
        if self._max_owed >= 0:
            return await self._wait(self._has_kept_up, may_go_on=not at_the_end)
        return await self._wait(lambda: not self.is_away, may_go_on=not at_the_end)

    def _has_kept_up(self) -> bool:
        state = self.state
        return state is not None and state.steps_received >= self._received() and state.updates_owed <= self._max_owed

    def _has_told_its_weights(self) -> bool:
        return self.state is not None and (self.state.updates == 0 or self._weights_heard())

    async def _wait(self, condition: Callable[[], bool], *, may_go_on: bool = False) -> bool:
        """Wait as long as the learner comes further, and learner_patience_s longer."""
        goes_on = may_go_on and self._meanwhile == "go_on"
        while True:
            before = self._place()
            if await self._node.wait_until(lambda: condition() or (goes_on and self.is_away), self._patience_s):
                return True
            if self._place() == before:
                self._node.get_logger().fatal(
                    f"learner_node came no further within {self._patience_s} s (steps and updates: {before}, "
                    f"{self._received()} steps were said); see its log"
                )
                return False

    def _place(self) -> tuple[int, int]:
        return (0, 0) if self.state is None else (self.state.steps_received, self.state.updates)

    def _on_state(self, message: m.LearnerState) -> None:
        self.state, self._heard_ns = message, STEADY.now().nanoseconds
