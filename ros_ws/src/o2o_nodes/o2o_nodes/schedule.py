"""The blocks of a session one after the other, from where they stood, and what is waited for between two episodes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from rclpy.task import Future

from o2o_nodes.node import HouseNode
from o2o_robot.flow.plan import Due, Evaluations, done, due
from o2o_robot.loop import parse_block

if TYPE_CHECKING:
    from o2o_nodes.session import Session
    from o2o_robot.types import Mode

Ready = Callable[..., Awaitable[bool]]
FOREVER_S = 1e8  # three years
LATE_WORDS_S = 2.0  # at the end, for whoever is to hear of a late label


class Schedule:
    """Runs the blocks, then finishes the node: 0 where every episode was whole and everybody has every step, else 1."""

    def __init__(
        self,
        node: HouseNode,
        session: Session,
        blocks: Sequence[str],
        *,
        max_steps: int,
        ready: Ready | None,
        over: Callable[[Mode], bool] | None,
    ) -> None:
        self._node, self._session, self._desk = node, session, session.desk
        self._words, self._max_steps, self._ready, self._over = list(blocks), max_steps, ready, over
        self.blocks = [parse_block(text) for text in blocks]
        self._evaluations = Evaluations(
            every=node.setting("eval_every", 0, "online episodes between two rounds of evaluation; 0: none"),
            episodes=node.setting("eval_episodes", 10, "of the mean action in each round, on the same scenes"),
            first_seed=node.setting("eval_first_seed", 900_000, "of the scenes of the evaluation rounds"),
        )
        self._readers = node.setting("step_readers", 1, "readers of `step` to wait for before the first episode")
        self._patience_s = node.setting("graph_patience_s", 30.0, "wall time to wait for the rest of the graph")
        self._delivery_s = node.setting("delivery_patience_s", 60.0, "wall time, at the end, until all have every step")

    def start(self) -> None:
        if self.blocks:
            self._node.executor.create_task(self._run())

    async def _run(self) -> None:
        if not await self._node.wait_until(self._graph_is_up, self._patience_s):
            self._node.get_logger().fatal(
                "arm_node, the reset server or a reader of `step` did not come up; see their logs"
            )
            self._node.finish(1)
            return
        is_whole = await self._run_blocks() and await self._all_is_delivered()
        self._desk.tell("done")
        await self._node.wait(Future(executor=self._node.executor), 0.2)  # let the last messages leave
        if is_whole or self._node.is_started:  # else somebody deactivated the node, which is no fault of its
            self._node.finish(0 if is_whole else 1)

    async def _run_blocks(self) -> bool:
        for index in range(self._session.journal.block, len(self.blocks)):
            if not await self._run_block(index):
                return False
            if self._desk.is_ending:
                return True
        return True

    async def _run_block(self, index: int) -> bool:
        """Whether every episode of the block was whole."""
        block = self.blocks[index]
        self._tell_block(index)
        while self._due(index) is not None:
            if not await self._may_begin(block.mode):
                return False
            if self._desk.is_ending or (self._over is not None and self._over(block.mode)):
                break
            next_one = self._due(index)  # as it is now: while it waited a person may have discarded an episode
            if next_one is None:
                break
            log = await self._session.run_episode(next_one.mode, next_one.seed, self._max_steps, block=index)
            if not log.is_whole:
                return False
            self._tell_block(index)
            self._log(index, next_one, "discarded" if log.is_discarded else log.outcome.value)
        # nothing is owed when a block is over
        return self._ready is None or await self._ready(block.mode, at_the_end=index == len(self.blocks) - 1)

    def _due(self, index: int) -> Due | None:
        return due(self.blocks[index], self._session.journal.of_block(index), self._evaluations)

    async def _may_begin(self, mode: Mode) -> bool:
        """Wait for whatever an episode has to wait for; False where that never comes, and the session ends."""
        if self._desk.is_paused:
            self._desk.tell("paused", "somebody to call ~/resume")
            await self._node.wait_until(self._is_let_go, FOREVER_S)
        if self._session.steps.is_full(self._max_steps + 1):
            lacking = ", ".join(self._session.steps.lacking()) or "learner_node or recorder_node"
            self._desk.tell("paused", f"{lacking} to make the steps safe that fill the spool (spool_mb)")
            self._node.get_logger().warning(f"the spool is full: waiting until {lacking} has saved; or raise spool_mb")
            await self._node.wait_until(self._has_room, FOREVER_S)
        if self._ready is None or self._desk.is_ending:
            return True
        self._desk.tell("waiting", "learner_node to catch up")
        return await self._ready(mode)

    def _is_let_go(self) -> bool:
        return not self._desk.is_paused or self._desk.is_ending or not self._node.is_started

    def _has_room(self) -> bool:
        steps = self._session.steps
        return not steps.is_full(self._max_steps + 1) or self._desk.is_ending or not self._node.is_started

    async def _all_is_delivered(self) -> bool:
        """At the end: whether everybody who must have every step has received the last one, and every late word."""
        steps, ready = self._session.steps, lambda: not self._session.steps.lacking()
        if not ready():
            self._desk.tell("waiting", f"{', '.join(steps.lacking())} to receive the last steps")
        while not await self._node.wait_until(ready, self._delivery_s):
            return self._give_up(steps.lacking())
        await self._session.labels.delivery.deliver(patience_s=LATE_WORDS_S)
        return True

    def _give_up(self, lacking: dict[str, int]) -> bool:
        who = ", ".join(f"{name} lacks {n}" for name, n in lacking.items())
        self._node.get_logger().fatal(f"not every step was received: {who}; they are kept, resume the run")
        return False

    def _graph_is_up(self) -> bool:
        return self._session.graph_is_up() and self._session.steps.n_readers >= self._readers

    def _tell_block(self, index: int) -> None:
        block, told = self.blocks[index], self._desk.block
        stands = done(block, self._session.journal.of_block(index))
        told.block, told.next = self._words[index], (self._words[index + 1 :] or [""])[0]
        told.block_episodes, told.block_episodes_of = stands.episodes, block.episodes
        told.block_steps, told.block_steps_of = stands.steps, block.steps
        told.successes = stands.successes

    def _log(self, index: int, ran: Due, outcome: str) -> None:
        block = self.blocks[index]
        stands = done(block, self._session.journal.of_block(index))
        so_far = f"{stands.successes}/{stands.episodes} so far" if ran.mode is block.mode else f"of {block.mode.value}"
        told = f"{ran.mode.value} {stands.episodes if ran.mode is block.mode else stands.evaluated}"
        self._node.get_logger().info(f"{told} ({stands.steps} steps): {outcome}, {so_far}")
