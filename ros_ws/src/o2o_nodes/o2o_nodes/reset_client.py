"""The session's side of ResetScene.action: asks for a start, and tells what the reset does or whom it waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from o2o_msgs.action import ResetScene
from rclpy.action import ActionClient
from rclpy.callback_groups import ReentrantCallbackGroup

from o2o_nodes import convert
from o2o_nodes.node import STEADY, HouseNode

ASK_AGAIN_S = 3.0
WAIT_S = 0.5  # before a goal is sent again that was refused


class ResetClient:
    """reset = ResetClient(node, tell=print, patience_s=10.0); stamp_ns = await reset.to_start(seed)

    tell: given each stage as the reset server names it ("ask: put the peg back, then call reset_node/reset_done").
    """

    def __init__(self, node: HouseNode, *, tell: Callable[[str], None], patience_s: float) -> None:
        self._node, self._tell = node, tell
        told = node.setting("reset_patience_s", 0.0, "wall time a reset may take; a person needs 600; 0: patience_s")
        self._accept_s, self._patience_s = patience_s, told or patience_s
        self._client = ActionClient(node, ResetScene, "reset_scene", callback_group=ReentrantCallbackGroup())

    def is_ready(self) -> bool:
        return bool(self._client.server_is_ready())

    async def to_start(self, seed: int) -> int | None:
        """The stamp of the first observation after the reset; None where it failed, or took too long."""
        handle = await self._ask(seed)
        if handle is None or not handle.accepted:
            self._node.get_logger().error("reset_scene did not accept the reset")
            return None
        answer = await self._node.wait(handle.get_result_async(), self._patience_s)
        if answer is None or not answer.result.success:
            why = answer.result.message if answer else f"no answer within {self._patience_s:g} s (reset_patience_s)"
            self._node.get_logger().error(f"reset failed: {why}")
            return None
        return convert.stamp_ns(answer.result.stamp)

    async def _ask(self, seed: int) -> Any:
        """The goal as it was answered; None where nobody did in time.

        A server that has not discovered yet where our answers go loses its first one, and says so to nobody but its own
        log. So a goal without an answer is sent again; one that is refused then may be so for the first, which is
        still at work.
        """
        deadline_ns, asked = STEADY.now().nanoseconds + int(self._accept_s * 1e9), 0
        handle = None
        while STEADY.now().nanoseconds < deadline_ns:
            sent = self._client.send_goal_async(ResetScene.Goal(seed=seed), feedback_callback=self._on_feedback)
            handle = await self._node.wait(sent, min(ASK_AGAIN_S, self._accept_s))
            asked += 1
            if handle is not None and (handle.accepted or asked == 1):
                break
            if handle is not None:
                await self._node.wait_until(lambda: False, WAIT_S)
        return handle

    def _on_feedback(self, message: Any) -> None:
        self._tell(message.feedback.stage)
