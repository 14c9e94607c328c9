"""Lets the learner go back when the policy did: copies of it as it learns, and the policy's word."""

from __future__ import annotations

from pathlib import Path

from o2o_msgs import msg as m

from o2o_nodes import qos
from o2o_nodes.node import HouseNode
from o2o_robot.learner import Learner
from o2o_robot.learner_copies import LearnerCopies

MENDS = 5  # of a learner whose numbers ran away; more, and its settings are at fault
AT_ONCE = 100  # rollbacks that one message may tell of: each takes a window of episodes, so that more is no policy's


class LearnerRollback:
    """back = LearnerRollback(node, learner, pretrained=checkpoint); after each update: back.after_update()

    The policy counts how often it went back, the learner how often it followed. The numbers travel with PolicyState and
    with the weights: so a message that is lost, said twice or late changes nothing.
    """

    def __init__(self, node: HouseNode, learner: Learner, *, pretrained: Path) -> None:
        every = node.setting("copy_every", 100, "updates between two copies of the learner to go back to")
        folder = (node.run_dir or Path(".")) / "copies"
        self._node, self._learner = node, learner
        self._keeps = node.run_dir is not None
        self._copies = LearnerCopies(folder, every=max(1, every), pretrained=pretrained)
        self._best: int | None = None
        self.mended = 0
        if self._keeps and learner.n_updates == 0:
            self._copies.clear()  # another run's
        node.create_subscription(m.PolicyState, "policy_state", self._on_policy, qos.LATCHED)

    def after_update(self) -> None:
        if self._keeps:
            self._copies.keep(self._learner, best=self._best)

    def mend(self) -> None:
        """Before weights are published or saved: a learner with numbers that are not finite is its newest copy again.

        Said each time; the node ends with code 1 where it does not help.
        """
        revision = self._copies.mend(self._learner)
        if revision is None:
            return
        self.mended += 1
        told = f"update {self._learner.n_updates}: the networks hold numbers that are not finite"
        if self.mended > MENDS:
            self._node.get_logger().fatal(f"{told}, for the {self.mended}th time; lower learning rates or utd")
            self._node.finish(1)
        else:
            self._node.get_logger().error(f"{told}; learning goes on from revision {revision}, with all collected")

    def _on_policy(self, state: m.PolicyState) -> None:
        self._best = int(state.best_revision)
        if not self._learner.rollbacks < state.rollbacks <= self._learner.rollbacks + AT_ONCE:
            return
        found = self._copies.go_back(self._learner, self._best, rollbacks=int(state.rollbacks))
        self._node.get_logger().warning(
            f"the policy went back to revision {state.best_revision}; learning goes on from revision {found}, "
            "with all that was collected"
        )
