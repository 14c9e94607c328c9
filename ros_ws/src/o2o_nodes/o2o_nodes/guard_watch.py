"""What the session knows of the guard: whether the arm would follow an episode's commands."""

from __future__ import annotations

from o2o_msgs import msg as m

from o2o_nodes import qos
from o2o_nodes.node import HouseNode
from o2o_robot.safety.reason import Reason, names

ENGAGED = ("ARMED", "RUN", "SOFT_STOP")  # states of the guard from which an episode can start
NOT_YET = Reason.SOFT_STOP | Reason.HEARTBEAT  # in the guard's state: no episode can begin, or a peer is lost


class GuardWatch:
    """watch = GuardWatch(node); if not await watch.is_armed(first_state_is_there=True): ..."""

    def __init__(self, node: HouseNode) -> None:
        self._node = node
        self._patience_s = node.setting("guard_patience_s", 30.0, "wall time to wait until the guard is armed")
        self._guard: m.SafetyState | None = None
        node.create_subscription(m.SafetyState, "safety_state", self._on_guard, qos.LATCHED)

    async def is_armed(self, *, first_state_is_there: bool) -> bool:
        """Whether the arm would follow an episode's commands; an operator may arm, or reset a latch, while we wait.

        In lockstep the first state comes with the first reset: before it a guard that has seen none is good enough.
        """
        wanted = ENGAGED if first_state_is_there else (*ENGAGED, "UNCONFIGURED")

        def armed() -> bool:
            told = self._guard
            return told is not None and told.state in wanted and not told.reasons & NOT_YET

        if armed() or await self._node.wait_until(armed, self._patience_s):
            return True
        said = self._guard or m.SafetyState(state="silent")
        why = ", ".join(names(said.reasons)) or "nobody armed it"
        self._node.get_logger().fatal(
            f"the guard is {said.state} ({why}); clear the cause, then call arm_node's reset, arm"
        )
        return False

    @property
    def reasons(self) -> int:
        """What the guard gave last as the reasons of its state."""
        return 0 if self._guard is None else int(self._guard.reasons)

    def _on_guard(self, message: m.SafetyState) -> None:
        self._guard = message
