"""What a person says with a device's buttons, passed on to whom it concerns: the session, arm_node, everybody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from o2o_msgs.srv import LabelEpisode
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from o2o_nodes import qos
from o2o_nodes.node import HouseNode

WORDS = ("success", "failure", "discard")
ASKED_OF = {"hold": "arm_node/hold", "pause": "{session}/pause", "resume": "{session}/resume", "end": "{session}/end"}


class Deeds:
    """deeds.do(("success",)): names of hand.DEEDS. Nobody is waited for; a refusal is logged."""

    def __init__(self, node: HouseNode, *, own_session: bool) -> None:
        """own_session: whether this node runs the session; else policy_node does."""
        self._node = node
        session = node.get_name() if own_session else "policy_node"
        self._estop = node.create_publisher(Bool, "estop", qos.COMMAND)
        self._label = node.create_client(LabelEpisode, f"{session}/label")
        self._triggers = {
            deed: node.create_client(Trigger, name.format(session=session)) for deed, name in ASKED_OF.items()
        }

    def do(self, deeds: Iterable[str]) -> None:
        for deed in deeds:
            self._node.get_logger().info(f"a person says: {deed}")
            if deed == "estop":
                self._estop.publish(Bool(data=True))
            elif deed in WORDS:
                self._ask(deed, self._label, LabelEpisode.Request(outcome=deed, by=self._node.get_name()))
            else:
                self._ask(deed, self._triggers[deed], Trigger.Request())

    def _ask(self, deed: str, client: Any, request: Any) -> None:
        if not client.service_is_ready():
            self._node.get_logger().error(f"{deed}: nobody serves {client.srv_name}; is that node up?")
            return
        client.call_async(request).add_done_callback(lambda future: self._heard(deed, future.result()))

    def _heard(self, deed: str, answer: Any) -> None:
        if answer is not None and not answer.success:
            self._node.get_logger().error(f"{deed}: {answer.message}")
