"""The console's buttons as ROS services and topics. Any thread may press; answers come when the executor hears them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from o2o_msgs.srv import LabelEpisode
from rclpy.client import Client
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from o2o_nodes import qos
from o2o_nodes.node import HouseNode
from o2o_robot.console.commands import COMMANDS, LABELS, Answer, Command, Refused

ESTOP = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
OF_THE_ARM: dict[str, str] = {"estop": "estop", "hold": "hold", "arm": "arm", "reset": "reset"}
OF_THE_SESSION = ("pause", "resume", "end")


class ConsoleHands:
    """Is a console.commands.Commands. `find` once in a while looks who runs the session: its services bear its name."""

    def __init__(self, node: HouseNode) -> None:
        self._node = node
        self._estop_out = node.create_publisher(Bool, "estop", ESTOP)
        self._joy_out = node.create_publisher(Joy, "console_joy", qos.COMMAND)
        self._clients: dict[str, Client] = {
            command: node.create_client(Trigger, f"arm_node/{name}") for command, name in OF_THE_ARM.items()
        }
        self._clients["reset_done"] = node.create_client(Trigger, "reset_node/reset_done")
        self._session = ""

    def estop(self) -> None:
        """By the topic, which arm_node hears from anybody; and by its service, should one of the two be lost."""
        self._estop_out.publish(Bool(data=True))
        self._clients["estop"].call_async(Trigger.Request())

    def press(self, command: Command, *, by: str, episode: str = "") -> Future[Answer]:
        if why := self.blocked().get(command):
            raise Refused(why)
        if command in LABELS:
            request = LabelEpisode.Request(episode=episode, outcome=command, by=by, note="console")
            return self._call(self._clients["label"], request)
        return self._call(self._clients[command], Trigger.Request())

    def joy(self, axes: Sequence[float], buttons: Sequence[int]) -> None:
        message = Joy(axes=[float(v) for v in axes], buttons=[int(v) for v in buttons])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._joy_out.publish(message)

    def blocked(self) -> dict[str, str]:
        """Command -> why it cannot be had now; a command that can is not in it."""
        told = {command: self._why_not(command) for command in COMMANDS if command != "estop"}
        return {command: why for command, why in told.items() if why}

    def find(self) -> None:
        """Whose session it is, by who publishes session_state. From the executor's thread."""
        speakers = self._node.get_publishers_info_by_topic("session_state")
        found = next((f"{one.node_namespace.rstrip('/')}/{one.node_name}" for one in speakers), self._session)
        if found == self._session:
            return
        for name in ("label", *OF_THE_SESSION):
            if (old := self._clients.pop(name, None)) is not None:
                self._node.destroy_client(old)
        self._session = found
        fresh = {name: self._node.create_client(Trigger, f"{found}/{name}") for name in OF_THE_SESSION}
        self._clients |= {"label": self._node.create_client(LabelEpisode, f"{found}/label"), **fresh}

    def _why_not(self, command: str) -> str:
        client = self._clients.get("label" if command in LABELS else command)
        if client is None:
            return "no session runs"
        return "" if client.service_is_ready() else f"nobody answers {client.srv_name}"

    def _call(self, client: Client, request: Any) -> Future[Answer]:
        answer: Future[Answer] = Future()
        answer.set_running_or_notify_cancel()  # who waits may give up; it is then answered to nobody

        def heard(asked: Any) -> None:
            told = asked.result()
            answer.set_result(Answer(told.success, told.message) if told is not None else Answer(False, "cut off"))

        client.call_async(request).add_done_callback(heard)
        return answer
