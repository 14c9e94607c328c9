"""Fault injection by service, between the twin and its topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from o2o_msgs.srv import InjectFault
from std_srvs.srv import Trigger

from o2o_nodes.node import STEADY, HouseNode
from o2o_robot.errors import O2OError
from o2o_robot.robot.fault_kinds import Message
from o2o_robot.robot.faults import Fault, Faults

POLL_S = 0.005  # how late a late message may be on top


class FaultDesk:
    """`inject_fault` and `clear_faults`; every message of the twin goes out through `say`.

    publish: stream -> what sends one message of it, given its stamp (ns) and sample. Durations and latencies are of the
    clock, in seconds; in lockstep, where simulated time waits for whoever is waiting for the message, of wall time.
    """

    def __init__(
        self,
        node: HouseNode,
        publish: Mapping[str, Callable[[int, Any], None]],
        *,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._node, self._publish, self._changed = node, publish, changed
        self._faults = Faults(tuple(publish), clock)
        self._polls = False
        self.injected = 0
        node.create_service(InjectFault, "inject_fault", self._inject)
        node.create_service(Trigger, "clear_faults", self._clear)

    def start(self) -> None:
        self._polls = False  # a node's timers end with each of its active times

    def say(self, stream: str, stamp_ns: int, sample: Any = None) -> None:
        """Publish, or what the faults make of it."""
        if self._faults.is_quiet:
            self._publish[stream](stamp_ns, sample)
            return
        for message in self._faults.pass_on(Message(stream, stamp_ns, sample)):
            self._publish[message.stream](message.stamp_ns, message.sample)

    def is_on(self, kind: str) -> bool:
        return not self._faults.is_quiet and self._faults.is_on(kind)

    def end(self, kind: str) -> bool:
        """Switch off every fault of a kind; whether there was one."""
        return self._faults.clear(kind) > 0

    def _send_late(self) -> None:
        for message in self._faults.due():
            self._publish[message.stream](message.stamp_ns, message.sample)

    def _inject(self, asked: InjectFault.Request, answer: InjectFault.Response) -> InjectFault.Response:
        try:
            fault = Fault(asked.kind, asked.stream, asked.amount, asked.duration_s, asked.count, asked.seed)
            self._faults.inject(fault)
        except O2OError as problem:
            answer.success, answer.message = False, str(problem)
            return answer
        self.injected += 1
        if not self._polls and self._node.is_started:  # where nothing was ever injected, nothing is ever polled
            self._polls = self._node.create_timer(POLL_S, self._send_late, clock=STEADY) is not None
        self._node.get_logger().warning(f"on purpose: {fault}")
        self._changed()
        answer.success = True
        return answer

    def _clear(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        answer.success, answer.message = True, f"{self._faults.clear()} faults were on"
        self._changed()
        return answer
