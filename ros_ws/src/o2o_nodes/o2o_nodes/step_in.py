"""Hears the steps of a session, each once and in order, and tells the session how far it has come."""

from __future__ import annotations

from collections.abc import Callable

from o2o_msgs import msg as m

from o2o_nodes import checks, qos
from o2o_nodes.node import STEADY, HouseNode
from o2o_robot.delivery import Entry, Turnstile

ACK_EVERY = 25  # steps: a reader that is told again asks for more in time
GAP_S = 0.2  # between two answers to a gap: while it lasts every new step is one


class StepIn:
    """steps = StepIn(node, take=learn, durable=lambda: saved_number); steps.listen() once it can take; steps.start().

    take: called with each Step, once and in order. durable: the number below which all would survive our death.
    """

    def __init__(
        self,
        node: HouseNode,
        take: Callable[[m.Step], None],
        *,
        durable: Callable[[], int],
        turnstile: Turnstile | None = None,
    ) -> None:
        self._node, self._take, self._durable = node, take, durable
        self.turnstile = turnstile or Turnstile()
        self._refused_runs: set[str] = set()
        self._gap_ns = 0
        self._out = node.create_publisher(m.StepAck, "step_ack", qos.RECORD)

    def listen(self) -> None:
        self._node.create_subscription(m.Step, "step", self._on_step, qos.RECORD)

    def start(self) -> None:
        self._node.create_timer(1.0, self.acknowledge, clock=STEADY)
        self.acknowledge()

    def acknowledge(self) -> None:
        gate = self.turnstile
        ack = m.StepAck(reader=self._node.get_name(), run=gate.run, received=gate.expected)
        ack.header.stamp = self._node.get_clock().now().to_msg()
        ack.durable = min(self._durable(), gate.expected)
        self._out.publish(ack)

    def summary(self) -> dict[str, int]:
        gate = self.turnstile
        return {"steps_duplicate": gate.duplicates, "steps_after_a_gap": gate.gaps, "steps_foreign": gate.foreign}

    def _on_step(self, message: m.Step) -> None:
        checks.step(message)  # before the turnstile: what nobody can read takes no number, and opens no other run
        entry = self.turnstile.take(message.run, message.number)
        if entry is Entry.ACCEPTED:
            self._take(message)
            if message.run and (message.is_last or self.turnstile.expected % ACK_EVERY == 0):
                self.acknowledge()
        elif entry is Entry.GAP:
            self._ask_again()
        elif entry is Entry.FOREIGN and message.run not in self._refused_runs and len(self._refused_runs) < 8:
            self._refused_runs.add(message.run)
            self._node.get_logger().error(
                f"refused: steps of run {message.run[:64]}, this is {self.turnstile.run}; end the other session"
            )

    def _ask_again(self) -> None:
        now_ns = STEADY.now().nanoseconds
        if now_ns - self._gap_ns > GAP_S * 1e9:
            self._gap_ns = now_ns
            self.acknowledge()
