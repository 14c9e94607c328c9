"""Brings the arm back to its start between episodes as on a real robot: by motion the guard judges, or by a person.

It answers ResetScene.action on `reset_scene`. What a person is asked is the action's feedback, `ask: <words>`; they
answer at ~/reset_done. A start that is not verified is no success, and no episode begins.
"""

from __future__ import annotations

import time
from typing import Any

from o2o_msgs.action import ResetScene
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future
from std_srvs.srv import Trigger

from o2o_nodes import convert
from o2o_nodes.node import HouseNode, run
from o2o_nodes.reset_eyes import ResetEyes
from o2o_nodes.reset_hands import ResetHands
from o2o_nodes.reset_settings import ResetSettings
from o2o_robot.errors import ArmError, O2OError
from o2o_robot.jsonfile import append_line
from o2o_robot.reset.chain import Chain, Outcome
from o2o_robot.reset.keep import keep_refused
from o2o_robot.reset.orders import Ask, Begin, Felt, Look, Move, Order, Place, Rest, Resume
from o2o_robot.vitals import Value

LOG = "resets.jsonl"


class ResetNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("reset_node")

    def open(self) -> None:
        self._settings = ResetSettings(self)
        self._eyes = ResetEyes(self)
        self._hands = ResetHands(self, self._eyes)
        self._graph_patience_s = self.setting("graph_patience_s", 30.0, "wall time to wait for arm_node and the arm")
        self._view_patience_s = self.setting("view_patience_s", 5.0, "wall time to wait for pictures at the start")
        scene = self.setting("scene_server", "", "ResetScene server that places the objects; empty: nobody does")
        self._chain: Chain | None = None
        self._busy = False
        self._asked = ""
        self._answer: Future | None = None
        self.resets = self.verified = self.asked = 0
        group = ReentrantCallbackGroup()
        self._scene = ActionClient(self, ResetScene, scene, callback_group=group) if scene else None
        self.create_service(Trigger, "~/reset_done", self._reset_done)
        self._server = ActionServer(
            self,
            ResetScene,
            "reset_scene",
            self._serve,
            goal_callback=lambda _: GoalResponse.REJECT if self._busy or not self.is_started else GoalResponse.ACCEPT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=group,
        )

    def stop(self) -> None:
        self._hands.rest()
        self._answered(False)

    def summary(self) -> dict[str, Any]:
        done = {"resets": self.resets, "verified": self.verified, "asked": self.asked}
        return {**done, "views_learned": self._settings.views.n_good}

    def readings(self) -> dict[str, Value]:
        return dict(self.summary())

    def trouble(self) -> list[str]:
        return [f"a person is asked to {self._asked}"] if self._asked else []

    # --- one reset -----------------------------------------------------------------------------------------------
    async def _serve(self, handle: Any) -> ResetScene.Result:
        """Every end is an answer: what went wrong is in its message, in one line."""
        self._busy, self.resets = True, self.resets + 1
        started_s, started_ns = time.monotonic(), self._eyes.stamp_ns
        learned = self._settings.views.n_good
        try:
            outcome = await self._carried_out(handle)
        except O2OError as problem:
            outcome = Outcome(False, ())
            message = str(problem)
        else:
            message = outcome.message
        finally:
            self._hands.rest()
            self._busy = False
        times = {"wall_s": time.monotonic() - started_s, "robot_s": (self._eyes.stamp_ns - started_ns) * 1e-9}
        if self._settings.views.n_good > learned and self._settings.views_file is not None:
            self._settings.views.save(self._settings.views_file)
        self._tell(handle.request.seed, outcome, message, times)
        end = handle.canceled if handle.is_cancel_requested else handle.succeed if outcome.is_verified else handle.abort
        end()
        stamp = convert.stamp(self._eyes.stamp_ns)
        return ResetScene.Result(success=outcome.is_verified, message=message, stamp=stamp)

    async def _carried_out(self, handle: Any) -> Outcome:
        await self._require_arm()
        if self._chain is None:
            self._chain = self._settings.chain(self._eyes.state)
        talk = self._chain.reset(handle.request.seed, Felt(self._eyes.state, None, self._eyes.images))
        order = next(talk)
        while True:
            if handle.is_cancel_requested or not self.is_started:
                raise ArmError("the reset was called off; the arm holds where it is")
            felt = await self._do(order, handle)
            try:
                order = talk.send(felt)
            except StopIteration as end:
                return end.value

    async def _require_arm(self) -> None:
        """Raises ArmError unless the arm is there and no episode has it."""
        eyes, hands = self._eyes, self._hands
        if not await self.wait_until(lambda: bool(eyes.stamp_ns) and hands.is_heard, self._graph_patience_s):
            raise ArmError("no reset: arm_node or the arm's state is not there; see their logs")
        if not await self.wait_until(lambda: hands.are_free, self._graph_patience_s):
            raise ArmError("no reset while an episode runs; end it first, at its session's ~/end or ~/label")

    async def _do(self, order: Order, handle: Any) -> Felt:
        """Carry out one order; what is felt after it."""
        executed, trouble = None, ""
        if isinstance(order, Begin):
            handle.publish_feedback(ResetScene.Feedback(stage=order.strategy))
            if order.moves:
                self._hands.begin()
        elif isinstance(order, Resume):
            self._hands.begin()
        elif isinstance(order, Rest):
            self._hands.rest()
        elif isinstance(order, Move):
            executed = await self._hands.move(order.values)
        elif isinstance(order, Place):
            trouble = await self._place(order.seed)
        elif isinstance(order, Look):
            trouble = await self._look()
        elif isinstance(order, Ask):
            await self._ask(order.words, handle)
        return Felt(self._eyes.state, executed, self._eyes.images, trouble)

    async def _place(self, seed: int) -> str:
        """The objects, where something places them; why that failed."""
        if self._scene is None:
            return ""
        if not await self.wait_until(self._scene.server_is_ready, self._graph_patience_s):
            return "nobody places the scene; is the twin told to (place_only)?"
        handle = await self.wait(self._scene.send_goal_async(ResetScene.Goal(seed=seed)), self._graph_patience_s)
        answer = await self.wait(handle.get_result_async(), self._graph_patience_s) if handle else None
        if answer is None or not answer.result.success:
            return f"the scene was not placed: {answer.result.message if answer else 'no answer'}"
        placed_ns = convert.stamp_ns(answer.result.stamp)
        state = await self._eyes.after(placed_ns - 1, self._graph_patience_s)
        return "" if state is not None else "the arm's state is silent since the scene was placed"

    async def _look(self) -> str:
        """Wait for pictures of the arm at rest; which cameras show none."""
        silent = await self._eyes.look(self._eyes.stamp_ns, self._view_patience_s)
        told = f"shown nothing for {self._view_patience_s:g} s; look at its driver"
        return f"camera {', '.join(silent)} has {told}" if silent else ""

    # --- a person ------------------------------------------------------------------------------------------------
    async def _ask(self, words: str, handle: Any) -> None:
        """Until they say that it is done, the reset is called off, or this node is stopped."""
        self._asked, self.asked = words, self.asked + 1
        self._answer = Future(executor=self.executor)
        handle.publish_feedback(ResetScene.Feedback(stage=f"ask: {words}"))
        self.get_logger().warning(f"asked: {words}")
        while not (self._answer.done() or handle.is_cancel_requested):
            await self.wait_until(lambda: self._answer.done() or handle.is_cancel_requested, 60.0, every_s=0.1)
        self._asked = ""

    def _reset_done(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        answer.success = self._answered(True)
        answer.message = "it is verified now" if answer.success else "nobody is asked to do anything"
        return answer

    def _answered(self, is_done: bool) -> bool:
        """Whether somebody waited for it."""
        waits = bool(self._asked) and self._answer is not None and not self._answer.done()
        if waits:
            self._answer.set_result(is_done)
        return waits

    # --- telling -------------------------------------------------------------------------------------------------
    def _tell(self, seed: int, outcome: Outcome, message: str, times: dict[str, float]) -> None:
        """Into the log, and the run's folder: what was tried, why it was refused, and the pictures of that."""
        views = self._settings.views
        if outcome.is_verified:
            self.verified += 1
        else:
            self.get_logger().error(f"reset: {message}")
        if self.run_dir is None:
            return
        if not outcome.is_verified:
            keep_refused(self.run_dir / "resets", self.resets, views, outcome.images)
        tried = [attempt._asdict() for attempt in outcome.tried]
        facts = {"n": self.resets, "seed": seed, "is_verified": outcome.is_verified, "message": message}
        append_line(self.run_dir / LOG, {**facts, "tried": tried, **{k: round(v, 3) for k, v in times.items()}})


def main() -> None:
    run(ResetNode)


if __name__ == "__main__":
    main()
