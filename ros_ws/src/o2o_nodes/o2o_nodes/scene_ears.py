"""What was drawn for each episode's scene, from the topic `scene`, for whoever writes episodes down."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from o2o_msgs.msg import EpisodeEvent
from rclpy.serialization import serialize_message

from o2o_nodes import convert, qos
from o2o_nodes.bag import EpisodeBag
from o2o_nodes.node import HouseNode
from o2o_robot.errors import DataError
from o2o_robot.recorder import Scenes

TOPIC = "scene"


class SceneEars:
    """drawn = ears.of(event, bag) at each START and END: at an END, what the episode's scene was drawn as; else {}."""

    def __init__(self, node: HouseNode) -> None:
        self._node, self._scenes, self._began_ns = node, Scenes(), dict[str, int]()
        node.create_subscription(DiagnosticArray, TOPIC, self._hear, qos.LATCHED)

    def of(self, event: EpisodeEvent, bag: EpisodeBag | None) -> dict[str, Any]:
        """The bag gets it too, at the stamp of the episode's first observation, before it hears of the END."""
        stamp_ns = convert.stamp_ns(event.header.stamp)
        if event.kind == EpisodeEvent.START:
            self._began_ns[event.id] = stamp_ns
            return {}
        began_ns = self._began_ns.pop(event.id, 0)
        drawn = dict(self._scenes.take(began_ns))
        if drawn and bag is not None:
            bag.add(TOPIC, serialize_message(convert.scene_message(drawn, began_ns)), self._node.now_ns())
        return drawn

    def _hear(self, message: DiagnosticArray) -> None:
        try:
            self._scenes.hear(convert.stamp_ns(message.header.stamp), convert.drawn(message))
        except DataError as problem:
            self._node.get_logger().error(str(problem))
