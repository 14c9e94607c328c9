"""The session's side of arm_node: one action out, and what became of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from o2o_msgs import msg as m
from rclpy.task import Future

from o2o_nodes import convert, qos
from o2o_nodes.node import HouseNode
from o2o_robot.types import Action, Array, Executed, Source


class ArmDoor:
    """door = ArmDoor(node, patience_s=10.0); executed = await door.execute(values, stamp_ns=..., source=..., ...)

    first_action_s: from the start of this process to its first action; None before it.
    """

    def __init__(self, node: HouseNode, *, patience_s: float) -> None:
        self._node, self._patience_s = node, patience_s
        self._executed: Future | None = None
        self._seq = 0
        self.first_action_s: float | None = None
        node.create_subscription(m.ExecutedAction, "executed_action", self._on_executed, qos.COMMAND)
        self._out = node.create_publisher(m.Action, "action", qos.COMMAND)

    def is_ready(self) -> bool:
        """Whether somebody hears actions and tells of them."""
        return self._out.get_subscription_count() >= 1 and self._node.count_publishers("executed_action") >= 1

    async def execute(self, values: Array, *, stamp_ns: int, source: Source, revision: int) -> Executed | None:
        """What was executed in answer to these values (n_action,); None where arm_node was silent for patience_s."""
        self._seq += 1
        self._executed = Future(executor=self._node.executor)
        if self.first_action_s is None:
            self.first_action_s = age_of_process_s()
        action = Action(stamp_ns, self._seq, values, source, revision)
        self._out.publish(convert.action_message(action, "base"))
        return await self._node.wait(self._executed, self._patience_s)

    def _on_executed(self, message: m.ExecutedAction) -> None:
        if message.seq == self._seq and self._executed is not None and not self._executed.done():
            self._executed.set_result(convert.executed(message))


def age_of_process_s() -> float:
    """How long ago this process was started: the loading of its libraries counts too (proc(5), field 22)."""
    started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")
