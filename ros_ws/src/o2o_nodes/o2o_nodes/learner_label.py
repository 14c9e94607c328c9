"""A person's late word on an episode that the learner holds: service ~/label of learner_node."""

from __future__ import annotations

from o2o_msgs.srv import LabelEpisode

from o2o_nodes.node import HouseNode
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.learner import Learner


class LearnerLabel:
    """Made once the learner is there; the updates that follow a word learn from it."""

    def __init__(self, node: HouseNode, learner: Learner) -> None:
        self._node, self._learner = node, learner
        self.relabelled = 0
        node.create_service(LabelEpisode, "~/label", self._label)

    def _label(self, request: LabelEpisode.Request, answer: LabelEpisode.Response) -> LabelEpisode.Response:
        """Whoever labels names the episode: the learner knows only those whose steps have come."""
        try:
            n_steps = self._learner.relabel(request.episode, request.outcome)
        except (ConfigError, DataError) as problem:
            answer.message = str(problem)
            return answer
        if n_steps == 0:
            answer.message = f"episode '{request.episode}' is not in the replay; label it in its store"
            return answer
        self.relabelled += 1
        answer.success = True
        answer.message = f"{request.episode}: {request.outcome}, {n_steps} transitions"
        self._node.get_logger().info(f"{answer.message}, by {request.by or 'somebody'}")
        return answer
