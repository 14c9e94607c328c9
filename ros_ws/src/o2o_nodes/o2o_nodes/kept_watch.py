"""What the session knows of the recorder: whether an episode is on disk. Bags cannot be written again afterwards."""

from __future__ import annotations

from o2o_msgs import msg as m

from o2o_nodes import qos
from o2o_nodes.node import HouseNode


class KeptWatch:
    """watch = KeptWatch(node); if not await watch.has(episode): ..."""

    def __init__(self, node: HouseNode) -> None:
        self._node = node
        self._patience_s = node.setting(
            "recorder_patience_s", 0.0, "wall time to wait until an episode is on disk; 0: nobody is asked"
        )
        self._last = ""
        if self._patience_s:
            node.create_subscription(m.RecorderState, "recorder_state", self._on_recorder, qos.LATCHED)

    async def has(self, episode: str) -> bool:
        """Whether the recorder says that the episode is whole on disk; true where nobody is asked."""
        if not self._patience_s or await self._node.wait_until(lambda: self._last == episode, self._patience_s):
            return True
        self._node.get_logger().fatal(
            f"{episode}: recorder_node did not say within {self._patience_s:g} s that it is on disk; look at its log, "
            "then take the run up again (resume), which runs this episode again"
        )
        return False

    def _on_recorder(self, state: m.RecorderState) -> None:
        self._last = state.last_episode
